namespace Nephos.Hosting.Authentication;

/// <summary>Keeps what was used lately: two generations of dictionaries, so that forgetting costs nothing. Thread-safe.</summary>
/// <param name="maxItems">Most items of one generation; twice as many may be held.</param>
public sealed class TokenCache<T>(int maxItems)
    where T : class
{
    private readonly Lock _gate = new();
    private System.Collections.Concurrent.ConcurrentDictionary<string, T> _young = New();
    private System.Collections.Concurrent.ConcurrentDictionary<string, T> _old = New();

    public T? Get(string key)
    {
        if (_young.TryGetValue(key, out var item))
        {
            return item;
        }
        if (_old.TryGetValue(key, out item))
        {
            Set(key, item);
            return item;
        }
        return null;
    }

    public void Set(string key, T item)
    {
        var young = _young;
        young[key] = item;
        // Count takes every lock of the dictionary; sets are rare beside gets.
        if (young.Count <= maxItems)
        {
            return;
        }
        lock (_gate)
        {
            if (ReferenceEquals(young, _young))
            {
                _old = young;
                _young = New();
            }
        }
    }

    public void Remove(string key)
    {
        _young.TryRemove(key, out _);
        _old.TryRemove(key, out _);
    }

    private static System.Collections.Concurrent.ConcurrentDictionary<string, T> New() => new(StringComparer.Ordinal);
}
