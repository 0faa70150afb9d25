namespace Nephos.BlockStorage.Backups;

internal readonly record struct StoredItem(string Key, DateTimeOffset ModifiedAt);

/// <summary>What backups need of the object store.</summary>
internal interface IBackupObjects
{
    Task<bool> ExistsAsync(string bucket, string key, CancellationToken cancellationToken);

    /// <summary>Durable when it returns; the bucket is made when it is missing.</summary>
    Task PutAsync(string bucket, string key, ReadOnlyMemory<byte> data, CancellationToken cancellationToken);

    /// <summary>Null when there is no such object.</summary>
    Task<byte[]?> GetAsync(string bucket, string key, CancellationToken cancellationToken);

    /// <summary>One that is gone is no error.</summary>
    Task DeleteAsync(string bucket, string key, CancellationToken cancellationToken);

    IAsyncEnumerable<StoredItem> ListAsync(string bucket, string prefix, CancellationToken cancellationToken);
}
