namespace Nephos.Node.Objects;

/// <summary>A value and the version that a compare-and-swap must name.</summary>
public readonly record struct ConfigurationValue(ReadOnlyMemory<byte> Value, ulong Version);

/// <summary>
/// The small strongly consistent store that says who belongs to which group and who may write: the state store, or a file when
/// there is one process. Asked when membership changes, never per operation.
/// </summary>
public interface IConfigurationMaster
{
    /// <summary>The value of a name; null when it was never written.</summary>
    ValueTask<ConfigurationValue?> ReadAsync(string name, CancellationToken cancellationToken);

    /// <summary>Writes durably when the version is still the one named (0: the name does not exist yet); null when it is not.</summary>
    /// <returns>The version of what was written.</returns>
    ValueTask<ulong?> CompareAndSwapAsync(
        string name, ulong expectedVersion, ReadOnlyMemory<byte> value, CancellationToken cancellationToken);
}

/// <summary>A configuration master for one process: one file per name, replaced whole.</summary>
/// <remarks>A file: 8 bytes version (little-endian), then the value.</remarks>
public sealed class FileConfigurationMaster(string directory) : IConfigurationMaster
{
    private readonly SemaphoreSlim _gate = new(1, 1);

    public async ValueTask<ConfigurationValue?> ReadAsync(string name, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            return await ReadFileAsync(name, cancellationToken);
        }
        finally
        {
            _gate.Release();
        }
    }

    public async ValueTask<ulong?> CompareAndSwapAsync(
        string name, ulong expectedVersion, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            var current = await ReadFileAsync(name, cancellationToken);
            if ((current?.Version ?? 0) != expectedVersion)
            {
                return null;
            }

            Directory.CreateDirectory(directory);
            var path = PathOf(name);
            using (var file = File.OpenHandle(path + ".new", FileMode.Create, FileAccess.Write))
            {
                RandomAccess.Write(file, BitConverter.GetBytes(expectedVersion + 1), 0);
                RandomAccess.Write(file, value.Span, sizeof(ulong));
                RandomAccess.FlushToDisk(file);
            }

            File.Move(path + ".new", path, overwrite: true);
            LocalStorage.Objects.DurableDirectory.Sync(directory);
            return expectedVersion + 1;
        }
        finally
        {
            _gate.Release();
        }
    }

    private async ValueTask<ConfigurationValue?> ReadFileAsync(string name, CancellationToken cancellationToken)
    {
        var path = PathOf(name);
        if (!File.Exists(path))
        {
            return null;
        }

        var bytes = await File.ReadAllBytesAsync(path, cancellationToken);
        return new ConfigurationValue(bytes.AsMemory(sizeof(ulong)), BitConverter.ToUInt64(bytes));
    }

    private string PathOf(string name) => Path.Combine(directory, name.Replace('/', '_'));
}
