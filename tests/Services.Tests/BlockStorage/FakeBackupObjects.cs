using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Nephos.BlockStorage.Backups;

namespace Nephos.Services.Tests.BlockStorage;

/// <summary>An object store that is a dictionary, and can be told to fail.</summary>
internal sealed class FakeBackupObjects : IBackupObjects
{
    public ConcurrentDictionary<string, byte[]> Items { get; } = new();

    /// <summary>Called before each write with the key; throws to fail it.</summary>
    public Action<string>? BeforePut { get; set; }

    public IReadOnlyList<string> Chunks => [.. Items.Keys.Where(key => key.Contains("/chunks/", StringComparison.Ordinal))];

    public Task<bool> ExistsAsync(string bucket, string key, CancellationToken cancellationToken) => Task.FromResult(Items.ContainsKey($"{bucket}/{key}"));

    public Task PutAsync(string bucket, string key, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        BeforePut?.Invoke(key);
        Items[$"{bucket}/{key}"] = data.ToArray();
        return Task.CompletedTask;
    }

    public Task<byte[]?> GetAsync(string bucket, string key, CancellationToken cancellationToken) => Task.FromResult(Items.GetValueOrDefault($"{bucket}/{key}"));

    public Task DeleteAsync(string bucket, string key, CancellationToken cancellationToken)
    {
        Items.TryRemove($"{bucket}/{key}", out _);
        return Task.CompletedTask;
    }

    public async IAsyncEnumerable<StoredItem> ListAsync(string bucket, string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var key in Items.Keys.Where(key => key.StartsWith($"{bucket}/{prefix}", StringComparison.Ordinal)).Order(StringComparer.Ordinal).ToList())
        {
            await Task.Yield();
            yield return new StoredItem(key[(bucket.Length + 1)..], DateTimeOffset.UnixEpoch);
        }
    }
}
