using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;

namespace Nephos.Probe.Tests.Roles;

/// <summary>
/// Writers that put objects through the Swift face and know what was acknowledged, and readers that compare. Each key has one writer, so
/// what a read may find is known: the last value acknowledged before it, or one tried since.
/// </summary>
internal sealed class ObjectLoad(HttpClient http, string container)
{
    private const int Writers = 4;
    private const int KeysPerWriter = 8;
    private const int LargeBytes = 60_000;
    private readonly ConcurrentDictionary<string, (int Acknowledged, int Tried)> _values = new();
    private readonly ConcurrentQueue<string> _wrong = new();
    private readonly long[] _lastDone = new long[Writers + 1];
    private long _longestPause;
    private int _acknowledged;
    private int _read;
    private volatile bool _isStopping;
    private Task _running = Task.CompletedTask;

    /// <summary>What contradicts what was acknowledged.</summary>
    public IReadOnlyCollection<string> Wrong => _wrong;

    public int Acknowledged => Volatile.Read(ref _acknowledged);

    public int Read => Volatile.Read(ref _read);

    /// <summary>The longest time in which a client got nothing done.</summary>
    public TimeSpan LongestPause => TimeSpan.FromSeconds(Volatile.Read(ref _longestPause) / (double)Stopwatch.Frequency);

    public void Start()
    {
        Array.Fill(_lastDone, Stopwatch.GetTimestamp());
        _running = Task.WhenAll(Enumerable.Range(0, Writers).Select(w => Task.Run(() => WriteAsync(w))).Append(Task.Run(ReadAsync)));
    }

    public async Task StopAsync()
    {
        _isStopping = true;
        await _running;
    }

    /// <summary>Reads every key until there is an answer.</summary>
    public async Task CheckAllAsync()
    {
        foreach (var key in _values.Keys)
        {
            for (var attempt = 0; !await CheckAsync(key); attempt++)
            {
                if (attempt > 100)
                {
                    _wrong.Enqueue($"{key} cannot be read.");
                    break;
                }

                await Task.Delay(100);
            }
        }
    }

    private async Task WriteAsync(int writer)
    {
        var random = new Random(writer);
        for (var value = 1; !_isStopping; value++)
        {
            var key = $"{writer}-{random.Next(KeysPerWriter)}";
            var before = _values.GetValueOrDefault(key).Acknowledged;
            _values[key] = (before, value);
            try
            {
                using var content = new ByteArrayContent(ContentOf(key, value));
                using var answer = await http.PutAsync($"{container}/{key}", content);
                if (answer.StatusCode == HttpStatusCode.Created)
                {
                    _values[key] = (value, value);
                    Interlocked.Increment(ref _acknowledged);
                    Done(writer);
                    continue;
                }
            }
            catch (Exception failure) when (failure is HttpRequestException or TaskCanceledException)
            {
                // Nothing is known of this one.
            }

            await Task.Delay(50);
        }
    }

    private async Task ReadAsync()
    {
        var random = new Random(Writers);
        while (!_isStopping)
        {
            var keys = _values.Keys.ToList();
            if (keys.Count == 0 || !await CheckAsync(keys[random.Next(keys.Count)]))
            {
                await Task.Delay(50);
                continue;
            }

            Interlocked.Increment(ref _read);
            Done(Writers);
        }
    }

    /// <summary>False when there was no answer.</summary>
    private async Task<bool> CheckAsync(string key)
    {
        var least = _values[key].Acknowledged;
        try
        {
            using var answer = await http.GetAsync($"{container}/{key}");
            if (answer.StatusCode == HttpStatusCode.NotFound)
            {
                if (least > 0)
                {
                    _wrong.Enqueue($"{key} was acknowledged as {least} and is not there.");
                }

                return true;
            }

            if (answer.StatusCode != HttpStatusCode.OK)
            {
                return false;
            }

            var content = await answer.Content.ReadAsByteArrayAsync();
            var found = content.Length < 4 ? 0 : BitConverter.ToInt32(content);
            var most = _values[key].Tried;
            if (found < least || found > most || !content.AsSpan().SequenceEqual(ContentOf(key, found)))
            {
                _wrong.Enqueue($"{key} was acknowledged as {least}, tried up to {most}, and reads as {found} of {content.Length} bytes.");
            }

            return true;
        }
        catch (Exception failure) when (failure is HttpRequestException or TaskCanceledException or IOException)
        {
            return false;
        }
    }

    private void Done(int client)
    {
        var now = Stopwatch.GetTimestamp();
        var pause = now - Interlocked.Exchange(ref _lastDone[client], now);
        for (var longest = Volatile.Read(ref _longestPause);
            pause > longest && Interlocked.CompareExchange(ref _longestPause, pause, longest) != longest;
            longest = Volatile.Read(ref _longestPause))
        {
        }
    }

    /// <summary>The number, then bytes that follow from key and number; small ones travel in the record, large ones as blobs.</summary>
    private static byte[] ContentOf(string key, int value)
    {
        var content = new byte[value % 2 == 0 ? 100 : LargeBytes];
        new Random(HashCode.Combine(key.Length, value)).NextBytes(content);
        BitConverter.TryWriteBytes(content, value);
        return content;
    }
}
