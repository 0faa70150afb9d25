using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Nephos.Testing;
using Xunit;

namespace Nephos.Probe.Tests.State;

/// <summary>Runs the test where a small disk can be mounted; it says that it is skipped where not.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class TinyDiskFactAttribute : FactAttribute
{
    public TinyDiskFactAttribute() => Skip = TinyDisk.WhyNot;
}

/// <summary>A whole process whose state directory is on a disk that fills up.</summary>
public sealed class FullDiskProcessTests
{
    private const int DiskMebibytes = 320;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [TinyDiskFact]
    public async Task A_process_on_a_full_disk_reads_says_why_it_does_not_write_and_writes_once_there_is_space()
    {
        using var disk = new TinyDisk(DiskMebibytes);
        var port = FreePorts.Take(1, 920);
        using var process = Start(disk.Path, port);
        try
        {
            using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
            await WaitUntilReadyAsync(disk.Path, process);
            http.DefaultRequestHeaders.Add("X-Auth-Token", await TokenAsync(http, await PasswordAsync(disk.Path)));
            using var before = await CreateAsync(http, "before");
            Assert.Equal(HttpStatusCode.Created, before.StatusCode);

            disk.Fill(leaveFreeBytes: 8 * 1024 * 1024);
            using var refused = await CreateAsync(http, "refused");

            Assert.Equal(HttpStatusCode.InsufficientStorage, refused.StatusCode);
            Assert.Contains($"free space in {disk.Path}", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
            Assert.Equal(["before"], await ProjectsAsync(http, "before", "refused", "after"));

            disk.Free();
            using var after = await CreateAsync(http, "after");

            Assert.Equal(HttpStatusCode.Created, after.StatusCode);
            Assert.Equal(["after", "before"], await ProjectsAsync(http, "before", "refused", "after"));
            Assert.False(process.HasExited);
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
    }

    [TinyDiskFact]
    public async Task A_process_that_starts_on_a_full_disk_ends_and_says_what_to_do_and_starts_once_there_is_space()
    {
        using var disk = new TinyDisk(DiskMebibytes);
        var port = FreePorts.Take(1, 920);
        using (var first = Start(disk.Path, port))
        {
            await WaitUntilReadyAsync(disk.Path, first);
            first.Kill();
            await first.WaitForExitAsync();
        }
        disk.Fill(leaveFreeBytes: 8 * 1024 * 1024);

        using var second = Start(disk.Path, port, out var errors);
        using var patience = new CancellationTokenSource(Patience);
        await second.WaitForExitAsync(patience.Token);

        Assert.Equal(1, second.ExitCode);
        Assert.Contains(errors, line => line.Contains("nephos serve: cannot start", StringComparison.Ordinal) && line.Contains("free space in", StringComparison.OrdinalIgnoreCase));

        disk.Free();
        File.Delete(Path.Combine(disk.Path, "run", "ready"));
        using var third = Start(disk.Path, port);
        await WaitUntilReadyAsync(disk.Path, third);
        third.Kill();
        await third.WaitForExitAsync();
    }

    private static Process Start(string state, int port) => Start(state, port, out _);

    /// <param name="state">The state directory.</param>
    /// <param name="port">The port base.</param>
    /// <param name="errors">The lines the process writes to its error stream; complete once it has ended.</param>
    private static Process Start(string state, int port, out ConcurrentQueue<string> errors)
    {
        var lines = errors = new ConcurrentQueue<string>();
        var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!,
        [
            "exec", Path.Combine(AppContext.BaseDirectory, "nephos.dll"), "serve", "--roles", "identity",
            "--state", state, "--port-base", $"{port}",
        ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, told) => lines.Enqueue(told.Data ?? "");
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private static async Task WaitUntilReadyAsync(string state, Process process)
    {
        var began = Stopwatch.GetTimestamp();
        while (!File.Exists(Path.Combine(state, "run", "ready")))
        {
            Assert.False(process.HasExited, "The process ended while starting.");
            Assert.True(Stopwatch.GetElapsedTime(began) < Patience, "The process was not ready in time.");
            await Task.Delay(TimeSpan.FromMilliseconds(50));
        }
    }

    private static async Task<string> PasswordAsync(string state) =>
        (await File.ReadAllTextAsync(Path.Combine(state, "secrets", "admin.password"))).Trim();

    private static async Task<string> TokenAsync(HttpClient http, string password)
    {
        using var answer = await http.PostAsJsonAsync("/identity/v3/auth/tokens", JsonNode.Parse($$"""
            {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": "{{password}}"} } },
             "scope": {"project": {"name": "admin", "domain": {"id": "default"} } } } }
            """));
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        return answer.Headers.GetValues("X-Subject-Token").Single();
    }

    private static Task<HttpResponseMessage> CreateAsync(HttpClient http, string name) =>
        http.PostAsJsonAsync("/identity/v3/projects", JsonNode.Parse($$"""{"project": {"name": "{{name}}", "domain_id": "default"} }"""));

    private static async Task<IEnumerable<string>> ProjectsAsync(HttpClient http, params string[] names) =>
        (await http.GetFromJsonAsync<JsonObject>("/identity/v3/projects"))!["projects"]!.AsArray()
            .Select(project => (string)project!["name"]!).Where(names.Contains).Order(StringComparer.Ordinal);
}
