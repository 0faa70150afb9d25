using System.Diagnostics;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>The same service at the real time, as programs of others sign with it.</summary>
public sealed class RealTimeObjectCloud : ObjectCloud
{
    protected override TimeProvider FaceTime => TimeProvider.System;
}

/// <summary>Skipped, by name, where the program is not installed.</summary>
public sealed class ClientFactAttribute : FactAttribute
{
    public ClientFactAttribute(string program)
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        if (!folders.Any(folder => File.Exists(Path.Combine(folder, program))))
        {
            Skip = $"The program {program} is not installed.";
        }
    }
}

/// <summary>The clients that people have, unmodified: what they upload, list, copy and delete is what is there.</summary>
public sealed class RealClientTests(RealTimeObjectCloud cloud) : IClassFixture<RealTimeObjectCloud>, IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    private readonly string _project = Guid.NewGuid().ToString("N");
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-clients-");

    private string AccessKey => $"alice.{_project}.member";

    public void Dispose() => _folder.Delete(recursive: true);

    [ClientFact("s3cmd")]
    public async Task S3cmd_puts_lists_copies_and_gets()
    {
        var (source, back) = (Fill("source", 9 * 1024 * 1024), Path.Combine(_folder.FullName, "back"));
        Task<string> S3cmd(params string[] arguments) => RunAsync("s3cmd",
            ["--no-ssl", $"--host={cloud.Address}", $"--host-bucket={cloud.Address}", "--region=RegionOne", $"--access_key={AccessKey}", $"--secret_key={ObjectCloud.SecretOf(AccessKey)}",
            "--config=/dev/null", "--multipart-chunk-size-mb=5", "--no-progress", .. arguments]);

        await S3cmd("mb", "s3://box");
        await S3cmd("put", source, "s3://box/dir/a file");
        await S3cmd("cp", "s3://box/dir/a file", "s3://box/copy");
        var listed = await S3cmd("ls", "--recursive", "s3://box");
        await S3cmd("get", "s3://box/copy", back);
        Fill("tree/one", 10);
        Fill("tree/sub/two", 20_000);
        await S3cmd("sync", Path.Combine(_folder.FullName, "tree") + "/", "s3://box/tree/");
        var again = await S3cmd("sync", Path.Combine(_folder.FullName, "tree") + "/", "s3://box/tree/");
        await S3cmd("sync", "s3://box/tree/", Path.Combine(_folder.FullName, "fetched") + "/");
        await S3cmd("del", "--recursive", "--force", "s3://box");
        await S3cmd("rb", "s3://box");

        Assert.DoesNotContain("upload:", again, StringComparison.Ordinal);
        Assert.Equal(ObjectTests.Bytes(20_000), await File.ReadAllBytesAsync(Path.Combine(_folder.FullName, "fetched", "sub", "two")));
        Assert.Contains("s3://box/dir/a file", listed, StringComparison.Ordinal);
        Assert.Equal(await File.ReadAllBytesAsync(source), await File.ReadAllBytesAsync(back));
    }

    [ClientFact("rclone")]
    public async Task Rclone_syncs_and_finds_nothing_different()
    {
        foreach (var (name, size) in new[] { ("empty", 0), ("one", 1), ("sub/two", 100_000), ("sub/deep/ünïcode name", 6 * 1024 * 1024) })
        {
            Fill(Path.Combine("tree", name), size);
        }
        var tree = Path.Combine(_folder.FullName, "tree");
        Task<string> Rclone(params string[] arguments) => RunAsync("rclone",
            ["--config=/dev/null", "--s3-provider=Other", $"--s3-endpoint=http://{cloud.Address}", "--s3-region=RegionOne", $"--s3-access-key-id={AccessKey}",
            $"--s3-secret-access-key={ObjectCloud.SecretOf(AccessKey)}", "--s3-upload-cutoff=5M", "--s3-chunk-size=5M", .. arguments]);

        await Rclone("mkdir", ":s3:box");
        await Rclone("sync", tree, ":s3:box/tree");
        await Rclone("check", tree, ":s3:box/tree");
        File.Delete(Path.Combine(tree, "one"));
        await Rclone("sync", tree, ":s3:box/tree");
        var listed = await Rclone("lsf", "--recursive", "--files-only", ":s3:box/tree");

        Assert.Equal(["empty", "sub/deep/ünïcode name", "sub/two"], listed.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal));
    }

    [ClientFact("aws")]
    public async Task Aws_copies_presigns_and_removes()
    {
        var (source, back) = (Fill("source", 9 * 1024 * 1024), Path.Combine(_folder.FullName, "back"));
        Task<string> Aws(params string[] arguments) => RunAsync("aws", ["--endpoint-url", $"http://{cloud.Address}", "--region", "RegionOne", .. arguments]);

        await Aws("s3", "mb", "s3://box");
        await Aws("s3", "cp", "--only-show-errors", source, "s3://box/dir/key");
        var listed = await Aws("s3", "ls", "--recursive", "s3://box");
        await Aws("s3", "cp", "--only-show-errors", "s3://box/dir/key", back);
        var presigned = (await Aws("s3", "presign", "s3://box/dir/key")).Trim();
        var fetched = await cloud.Http.GetByteArrayAsync(new Uri(presigned));
        await Aws("s3api", "put-object-tagging", "--bucket", "box", "--key", "dir/key", "--tagging", "TagSet=[{Key=a,Value=b}]");
        var tags = await Aws("s3api", "get-object-tagging", "--bucket", "box", "--key", "dir/key");
        foreach (var name in new[] { "one", "sub/two" })
        {
            Fill(Path.Combine("tree", name), 30_000);
        }
        var tree = Path.Combine(_folder.FullName, "tree");
        await Aws("s3", "sync", "--only-show-errors", tree, "s3://box/tree");
        var again = await Aws("s3", "sync", tree, "s3://box/tree");
        File.Delete(Path.Combine(tree, "one"));
        await Aws("s3", "sync", "--only-show-errors", "--delete", tree, "s3://box/tree");
        var kept = await Aws("s3", "ls", "--recursive", "s3://box/tree/");
        await Aws("s3", "rb", "--force", "s3://box");

        Assert.Contains("dir/key", listed, StringComparison.Ordinal);
        Assert.Equal(await File.ReadAllBytesAsync(source), await File.ReadAllBytesAsync(back));
        Assert.Equal(await File.ReadAllBytesAsync(source), fetched);
        Assert.Contains("\"Value\": \"b\"", tags, StringComparison.Ordinal);
        Assert.DoesNotContain("upload", again, StringComparison.Ordinal);
        Assert.EndsWith("tree/sub/two", kept.Trim(), StringComparison.Ordinal);
    }

    [ClientFact("python3")]
    public async Task Boto3_does_what_programs_do_with_it()
    {
        var script = Path.Combine(AppContext.BaseDirectory, "Objects", "boto3_client.py");
        if ((await TryRunAsync("python3", ["-c", "import boto3"])).ExitCode != 0)
        {
            return; // Without the library there is nothing to try; the clients above are other programs.
        }

        Assert.Equal("done", (await RunAsync("python3", [script, $"http://{cloud.Address}"])).Trim());
    }

    [ClientFact("swift")]
    public async Task Swift_gets_its_token_the_old_way()
    {
        var source = Fill("source", 1000);
        Task<string> Swift(params string[] arguments) => RunAsync("swift",
            ["--auth-version", "1", "--auth", $"http://{cloud.Address}/auth/v1.0", "--user", $"{_project}:alice", "--key", "secret", .. arguments]);

        await Swift("upload", "--object-name", "key", "box", source);

        Assert.Equal("key", (await Swift("list", "box")).Trim());
        Assert.Contains("container_sync", await Swift("info"), StringComparison.Ordinal);
    }

    [ClientFact("swift")]
    public async Task Swift_uploads_in_segments_and_downloads()
    {
        var (source, back) = (Fill("source", 3_000_000), Path.Combine(_folder.FullName, "back"));
        Task<string> Swift(params string[] arguments) => RunAsync("swift",
            ["--os-storage-url", $"http://{cloud.Address}/object/v1/AUTH_{_project}", "--os-auth-token", $"alice:{_project}:member", .. arguments]);

        await Swift("upload", "--segment-size", "1000000", "--use-slo", "--object-name", "big", "box", source);
        var listed = await Swift("list", "box");
        await Swift("download", "--output", back, "box", "big");
        var stat = await Swift("stat", "box", "big");
        await Swift("delete", "box");

        Assert.Equal("big", listed.Trim());
        Assert.Contains("3000000", stat, StringComparison.Ordinal);
        Assert.Equal(await File.ReadAllBytesAsync(source), await File.ReadAllBytesAsync(back));
    }

    private string Fill(string name, int length)
    {
        var path = Path.Combine(_folder.FullName, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, ObjectTests.Bytes(length));
        return path;
    }

    /// <summary>Runs a program to its end; fails with what it said.</summary>
    private async Task<string> RunAsync(string program, string[] arguments)
    {
        var (exitCode, output, error) = await TryRunAsync(program, arguments);
        Assert.True(exitCode == 0, $"{program} {string.Join(' ', arguments)}: {error}{output}");
        return output;
    }

    private async Task<(int ExitCode, string Output, string Error)> TryRunAsync(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in new[]
        {
            ("AWS_ACCESS_KEY_ID", AccessKey), ("AWS_SECRET_ACCESS_KEY", ObjectCloud.SecretOf(AccessKey)), ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"), ("NO_PROXY", "*"), ("no_proxy", "*"),
        })
        {
            start.Environment[name] = value;
        }
        // A bundle for the outside world is of no use here, and rclone cannot take one.
        start.Environment.Remove("AWS_CA_BUNDLE");
        using var process = Process.Start(start)!;
        using var limit = new CancellationTokenSource(Limit);
        var (output, error) = (process.StandardOutput.ReadToEndAsync(limit.Token), process.StandardError.ReadToEndAsync(limit.Token));
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} did not end.");
        }
        return (process.ExitCode, await output, await error);
    }
}
