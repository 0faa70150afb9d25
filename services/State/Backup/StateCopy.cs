using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Nephos.State.Backup;

/// <summary>A store that can be copied while it is used.</summary>
public interface IStateBackup
{
    /// <summary>Writes everything committed so far into a new folder on the disk of the store.</summary>
    /// <exception cref="IOException">The folder exists, or it cannot be written.</exception>
    void CopyTo(string folder);
}

/// <summary>A copy of the embedded store in a folder: its files, and <c>copy.json</c> with the checksum of each.</summary>
/// <param name="Format">1.</param>
/// <param name="Revision">Of the newest commit in it.</param>
/// <param name="MadeAt">When it was made.</param>
/// <param name="Files">By name below the folder.</param>
public sealed record StateCopy(int Format, long Revision, DateTimeOffset MadeAt, IReadOnlyDictionary<string, StateCopyFile> Files)
{
    private const int CurrentFormat = 1;
    private const string Manifest = "copy.json";
    private const string Data = "state";
    private const string RestoringMark = ".restoring";

    public static string DataOf(string folder) => Path.Combine(folder, Data);

    /// <summary>Copies a store that is used into a new folder, complete when it returns.</summary>
    /// <exception cref="IOException">The folder exists, or it cannot be written.</exception>
    public static async Task<StateCopy> MakeAsync(IStateBackup store, string folder, TimeProvider time, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        store.CopyTo(DataOf(folder));
        var revision = ReadRevision(DataOf(folder));
        var copy = new StateCopy(CurrentFormat, revision, time.GetUtcNow(), await SumAsync(DataOf(folder), cancellationToken));
        await using var manifest = new FileStream(Path.Combine(folder, Manifest), FileMode.CreateNew);
        await JsonSerializer.SerializeAsync(manifest, copy, StateCopyJson.Default.StateCopy, cancellationToken);
        manifest.Flush(flushToDisk: true);
        return copy;
    }

    /// <summary>Reads the manifest of a copy and compares every file with it.</summary>
    /// <exception cref="InvalidDataException">It is no copy, or not as it was made; the message names the file.</exception>
    public static async Task<StateCopy> VerifyAsync(string folder, CancellationToken cancellationToken)
    {
        var copy = await ReadAsync(folder, cancellationToken);
        var found = await SumAsync(DataOf(folder), cancellationToken);
        foreach (var name in copy.Files.Keys.Union(found.Keys).Order(StringComparer.Ordinal))
        {
            if (!copy.Files.TryGetValue(name, out var made) || !found.TryGetValue(name, out var there))
            {
                throw new InvalidDataException($"The copy in {folder} is damaged: {name} is {(copy.Files.ContainsKey(name) ? "missing" : "not of it")}.");
            }
            if (made != there)
            {
                throw new InvalidDataException($"The copy in {folder} is damaged: {name} is not as it was made.");
            }
        }
        return copy;
    }

    /// <summary>Puts a copy in the place of a store that nobody has open. What was there stays beside it.</summary>
    /// <remarks>A store with the mark of a restore that did not end is not opened; restoring again ends it.</remarks>
    /// <returns>Where the former store is; null when there was none.</returns>
    /// <exception cref="InvalidDataException">The copy is damaged; nothing was changed.</exception>
    public static async Task<string?> RestoreAsync(string folder, string path, TimeProvider time, CancellationToken cancellationToken)
    {
        await VerifyAsync(folder, cancellationToken);
        var (incoming, mark) = (path + ".incoming", path + RestoringMark);
        if (Directory.Exists(incoming))
        {
            Directory.Delete(incoming, recursive: true);
        }
        Directory.CreateDirectory(incoming);
        foreach (var file in new DirectoryInfo(DataOf(folder)).EnumerateFiles("*", SearchOption.AllDirectories))
        {
            await CopyAsync(file.FullName, Path.Combine(incoming, Path.GetRelativePath(DataOf(folder), file.FullName)), cancellationToken);
        }
        await File.WriteAllTextAsync(mark, "", cancellationToken);
        string? former = null;
        if (Directory.Exists(path))
        {
            former = $"{path}.before-{time.GetUtcNow():yyyyMMddTHHmmssfff}";
            Directory.Move(path, former);
        }
        Directory.Move(incoming, path);
        File.Delete(mark);
        return former;
    }

    /// <exception cref="IOException">A restore began and did not end, so that the store may be missing.</exception>
    internal static void RequireRestored(string path)
    {
        if (File.Exists(path + RestoringMark))
        {
            throw new IOException($"A restore of the state store in {path} was interrupted; restore again.");
        }
    }

    private static async Task<StateCopy> ReadAsync(string folder, CancellationToken cancellationToken)
    {
        try
        {
            await using var manifest = File.OpenRead(Path.Combine(folder, Manifest));
            return await JsonSerializer.DeserializeAsync(manifest, StateCopyJson.Default.StateCopy, cancellationToken) is { Format: CurrentFormat } copy
                ? copy
                : throw new InvalidDataException($"The copy in {folder} has a format that this program does not know.");
        }
        catch (Exception exception) when (exception is IOException or JsonException)
        {
            throw new InvalidDataException($"There is no complete copy of a state store in {folder}: {exception.Message}", exception);
        }
    }

    private static long ReadRevision(string path)
    {
        using var engine = Local.RocksDbEngine.OpenReadOnly(path);
        return engine.ReadRevision();
    }

    private static async Task<Dictionary<string, StateCopyFile>> SumAsync(string path, CancellationToken cancellationToken)
    {
        var files = new Dictionary<string, StateCopyFile>(StringComparer.Ordinal);
        foreach (var file in new DirectoryInfo(path).EnumerateFiles("*", SearchOption.AllDirectories).Where(IsData))
        {
            await using var content = file.OpenRead();
            files.Add(Path.GetRelativePath(path, file.FullName), new StateCopyFile(content.Length, Convert.ToHexStringLower(await SHA256.HashDataAsync(content, cancellationToken))));
        }
        return files;
    }

    // The lock and the messages of RocksDB change with every opening and hold nothing.
    private static bool IsData(FileInfo file) => file.Name != "LOCK" && !file.Name.StartsWith("LOG", StringComparison.Ordinal);

    private static async Task CopyAsync(string from, string to, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(to)!);
        await using var source = File.OpenRead(from);
        await using var target = new FileStream(to, FileMode.CreateNew);
        await source.CopyToAsync(target, cancellationToken);
        target.Flush(flushToDisk: true);
    }
}

public sealed record StateCopyFile(long SizeBytes, string Sha256);

[JsonSerializable(typeof(StateCopy))]
internal sealed partial class StateCopyJson : JsonSerializerContext;
