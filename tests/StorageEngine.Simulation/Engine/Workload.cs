using System.Collections.Immutable;
using Nephos.Client.Objects;
using Nephos.StorageEngine.Simulation.Machine;

namespace Nephos.StorageEngine.Simulation.Engine;

/// <summary>What clients did and were told, over all lives of the process.</summary>
internal sealed class ClientHistory
{
    private readonly List<Operation> _operations = [];
    private readonly Dictionary<int, int> _lengths = [];
    private long _step;
    private int _lastValue;

    public int Acknowledged { get; private set; }

    public long Now => _step;

    public IReadOnlyList<Operation> Operations => _operations;

    public Operation Call(string key, OperationKind kind, int? requires = null)
    {
        var operation = new Operation
        {
            Key = key,
            Kind = kind,
            Requires = requires,
            Invoked = ++_step,
            Value = kind == OperationKind.Put ? ++_lastValue : 0,
        };
        _operations.Add(operation);
        return operation;
    }

    public void Answer(Operation operation, OperationResult result)
    {
        (operation.Answered, operation.Result) = (++_step, result);
        Acknowledged += result == OperationResult.Done && operation.Kind != OperationKind.Read ? 1 : 0;
    }

    public void NoteLength(int value, int length) => _lengths[value] = length;

    public int LengthOf(int value) => _lengths[value];

    /// <summary>The bytes of a value: any mix of two values is neither.</summary>
    public byte[] ContentOf(int value)
    {
        var content = new byte[_lengths[value]];
        for (var n = 0; n < content.Length; n++)
        {
            content[n] = (byte)((n * 31) ^ (n >> 8) ^ (value * 167));
        }

        return content;
    }

    public void Check()
    {
        foreach (var key in _operations.GroupBy(o => o.Key))
        {
            if (Linearizability.Explain([.. key]) is { } contradiction)
            {
                throw new SimulationException(contradiction);
            }
        }
    }
}

/// <summary>Clients that put, get, list and delete a few keys, each one request at a time.</summary>
internal sealed class Workload(SimulatedProcess process, IObjectEngine engine, ClientHistory history)
{
    private const int KeyCount = 9;
    private const int AccountCount = 4;

    /// <summary>Several accounts, so that shards can be split between them; each key is in one of them.</summary>
    private static readonly ImmutableArray<BucketName> Buckets = [.. Enumerable.Range(0, AccountCount).Select(n => new BucketName($"account-{n}", "bucket"))];
    private static readonly TimeSpan AfterFailure = TimeSpan.FromMilliseconds(200);
    private readonly Random _random = process.Random;

    public static string AnyAccount(Random random) => Buckets[random.Next(AccountCount)].Account;

    /// <summary>No more requests are begun.</summary>
    public bool IsStopping { get; set; }

    public async Task PrepareAsync()
    {
        foreach (var bucket in Buckets)
        {
            await PrepareAsync(bucket);
        }
    }

    private async Task PrepareAsync(BucketName bucket)
    {
        while (process.HasPower)
        {
            try
            {
                var created = await engine.Namespace.CreateBucketAsync(new BucketRecord { Name = bucket, ChangesKept = 10_000 }, CancellationToken.None);
                if (created.Status is EngineStatus.Ok or EngineStatus.BucketExists)
                {
                    return;
                }
            }
            catch (ObjectEngineException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(100), process.Clock);
            }
        }
    }

    public async Task RunClientAsync(int requests)
    {
        for (var n = 0; n < requests && !IsStopping; n++)
        {
            await Task.Delay(TimeSpan.FromMicroseconds(_random.Next(20_000)), process.Clock);
            var key = $"k{_random.Next(KeyCount)}";
            switch (_random.Next(20))
            {
                case < 8:
                    await PutAsync(key);
                    break;
                case < 11:
                    await DeleteAsync(key);
                    break;
                case < 17:
                    await GetAsync(key);
                    break;
                default:
                    await ListAsync(_random.Next(AccountCount));
                    break;
            }
        }
    }

    public async Task ReadAllAsync()
    {
        for (var key = 0; key < KeyCount; key++)
        {
            if (await GetAsync($"k{key}") is { } failure)
            {
                throw new SimulationException($"After healing k{key} cannot be read: {failure}");
            }
        }

        for (var account = 0; account < AccountCount; account++)
        {
            await ReadBucketAsync(account);
        }
    }

    private async Task ReadBucketAsync(int account)
    {
        if (await ListAsync(account) is { } listFailure)
        {
            throw new SimulationException($"After healing the listing fails: {listFailure}");
        }

        var name = Buckets[account];
        var page = await engine.Namespace.ListObjectsAsync(new ListObjects { Bucket = name }, CancellationToken.None);
        var bucket = await engine.Namespace.GetBucketAsync(name, CancellationToken.None);
        var owner = await engine.Namespace.GetAccountAsync(name.Account, CancellationToken.None);
        var counted = new Usage(page.Value!.Entries.Count, page.Value.Entries.Sum(e => e.Object!.SizeBytes), 0, 0);
        await FollowAsync(name, page.Value.Entries.ToDictionary(e => e.Name, e => e.Object!.ETag));
        if (bucket.Value!.Usage != counted || owner.Value!.Usage != counted || owner.Value.Buckets != 1)
        {
            throw new SimulationException($"The bucket says {bucket.Value.Usage}, its account {owner.Value!.Usage}, and it holds {counted}.");
        }
    }

    /// <summary>Whoever follows the changes from the first on knows what the bucket holds.</summary>
    private async Task FollowAsync(BucketName bucket, Dictionary<string, string> listed)
    {
        var changes = (await engine.Namespace.ListChangesAsync(new ListChanges { Bucket = bucket, After = 1, Limit = 10_000 }, CancellationToken.None)).Value!;
        var followed = new Dictionary<string, string>();
        for (var n = 0; n < changes.Changes.Length; n++)
        {
            var change = changes.Changes[n];
            if (change.Number != (ulong)n + 2)
            {
                throw new SimulationException($"Change {change.Number} of {bucket} comes where {n + 2} belongs.");
            }

            if (change.Kind == ChangeKind.Written)
            {
                followed[change.Key] = change.ETag;
            }
            else if (!followed.Remove(change.Key))
            {
                throw new SimulationException($"Change {change.Number} of {bucket} removes {change.Key}, which was not there.");
            }
        }

        if (changes.Last != (ulong)changes.Changes.Length + 1 || followed.Count != listed.Count || followed.Except(listed).Any())
        {
            throw new SimulationException($"The changes of {bucket} up to {changes.Last} give {string.Join(' ', followed)}, and it holds {string.Join(' ', listed)}.");
        }
    }

    private static BucketName BucketOf(string key) => Buckets[int.Parse(key.AsSpan(1), System.Globalization.CultureInfo.InvariantCulture) % AccountCount];

    private async Task PutAsync(string key)
    {
        var requires = _random.Next(6) switch { 0 => 0, 1 => await CurrentAsync(key), _ => (int?)null };
        var operation = history.Call(key, OperationKind.Put, requires);
        history.NoteLength(operation.Value, LengthOfNext());
        var result = OperationResult.Unknown;
        try
        {
            var payload = await WriteAsync(key, history.ContentOf(operation.Value));
            if (payload is null)
            {
                result = OperationResult.Refused;
            }
            else
            {
                var outcome = await engine.Namespace.PutObjectAsync(
                    new PutObject
                    {
                        Bucket = BucketOf(key),
                        Object = new ObjectRecord
                        {
                            Key = key,
                            SizeBytes = payload.LengthBytes,
                            ETag = $"{operation.Value}",
                            Modified = process.Clock.GetUtcNow(),
                            Payload = payload,
                            UserMetadata = _random.Next(4) == 0 ? RecordMetadata.Empty.Add("m", new string('m', 600)) : RecordMetadata.Empty,
                        },
                        Conditions = requires switch
                        {
                            null => WriteConditions.None,
                            0 => new WriteConditions { MustNotExist = true },
                            _ => new WriteConditions { ETagIn = [$"{requires}"] },
                        },
                    },
                    CancellationToken.None);
                result = outcome.Status switch
                {
                    EngineStatus.Ok => OperationResult.Done,
                    EngineStatus.PreconditionFailed => OperationResult.ConditionFailed,
                    _ => throw new SimulationException($"A put was answered {outcome.Status}."),
                };
            }
        }
        catch (ObjectEngineException)
        {
            await Task.Delay(AfterFailure, process.Clock);
        }

        Answer(operation, result);
    }

    /// <summary>Null when the devices did not take it: then nothing can have happened.</summary>
    private async Task<Payload?> WriteAsync(string key, byte[] content)
    {
        await using var writer = engine.Payloads.OpenWriter(new PayloadOptions { Bucket = BucketOf(key), Key = key, Policy = _random.Next(2) == 0 ? null : "ec-2-1" });
        try
        {
            await writer.WriteAsync(content, CancellationToken.None);
            return _random.Next(15) == 0 ? null : await writer.CompleteAsync(CancellationToken.None);
        }
        catch (ObjectEngineException)
        {
            return null;
        }
    }

    private async Task DeleteAsync(string key)
    {
        var operation = history.Call(key, OperationKind.Delete);
        var result = OperationResult.Unknown;
        try
        {
            var outcome = await engine.Namespace.DeleteObjectAsync(
                new DeleteObject { Bucket = BucketOf(key), Key = key, Now = process.Clock.GetUtcNow() }, CancellationToken.None);
            (operation.Existed, result) = (outcome.Value.Existed, OperationResult.Done);
        }
        catch (ObjectEngineException failure) when (failure.Failure != EngineFailure.Full)
        {
            await Task.Delay(AfterFailure, process.Clock);
        }

        Answer(operation, result);
    }

    /// <summary>Why it failed; null when it did not.</summary>
    private async Task<string?> GetAsync(string key)
    {
        for (var attempt = 0; ; attempt++)
        {
            var operation = history.Call(key, OperationKind.Read);
            try
            {
                var found = await engine.Namespace.GetObjectAsync(BucketOf(key), key, default, CancellationToken.None);
                operation.Value = found.IsOk ? int.Parse(found.Value!.ETag, System.Globalization.CultureInfo.InvariantCulture) : 0;
                Answer(operation, OperationResult.Done);
                if (found.IsOk)
                {
                    await CompareAsync(found.Value!, operation.Value);
                }

                return null;
            }
            catch (ObjectEngineException failure) when (failure.Failure != EngineFailure.Released || attempt > 5)
            {
                return failure.Message;
            }
            catch (ObjectEngineException)
            {
                // Replaced while it was read.
            }
        }
    }

    private async Task CompareAsync(ObjectRecord record, int value)
    {
        var content = history.ContentOf(value);
        var offset = _random.Next(3) == 0 ? _random.Next(content.Length + 1) : 0;
        await using var reader = engine.Payloads.OpenReader(record.Payload, offset, record.SizeBytes - offset);
        for (var piece = await reader.ReadAsync(CancellationToken.None); !piece.IsEmpty; piece = await reader.ReadAsync(CancellationToken.None))
        {
            if (!piece.Span.SequenceEqual(content.AsSpan(offset, piece.Length)))
            {
                throw new SimulationException($"{record.Key}: the bytes of value {value} at {offset} are not what was written.");
            }

            offset += piece.Length;
        }

        if (offset != content.Length)
        {
            throw new SimulationException($"{record.Key}: value {value} ends at {offset} of {content.Length}.");
        }
    }

    private async Task<string?> ListAsync(int account)
    {
        var operations = Enumerable.Range(0, KeyCount).Where(k => k % AccountCount == account)
            .Select(k => history.Call($"k{k}", OperationKind.Read)).ToList();
        try
        {
            var page = await engine.Namespace.ListObjectsAsync(new ListObjects { Bucket = Buckets[account] }, CancellationToken.None);
            var listed = page.Value!.Entries.Where(e => e.Object is not null).ToDictionary(e => e.Object!.Key, e => e.Object!.ETag);
            foreach (var operation in operations)
            {
                operation.Value = listed.TryGetValue(operation.Key, out var etag)
                    ? int.Parse(etag, System.Globalization.CultureInfo.InvariantCulture)
                    : 0;
                Answer(operation, OperationResult.Done);
            }

            return null;
        }
        catch (ObjectEngineException failure)
        {
            return failure.Message;
        }
    }

    private async Task<int?> CurrentAsync(string key)
    {
        try
        {
            var found = await engine.Namespace.GetObjectAsync(BucketOf(key), key, default, CancellationToken.None);
            return found.IsOk ? int.Parse(found.Value!.ETag, System.Globalization.CultureInfo.InvariantCulture) : 0;
        }
        catch (ObjectEngineException)
        {
            return null;
        }
    }

    private int LengthOfNext() => _random.Next(40) switch
    {
        < 12 => _random.Next(4097),
        < 37 => 4097 + _random.Next(60_000),
        < 39 => _random.Next(300_000),
        _ => (1 << 20) + _random.Next(1 << 20),
    };

    /// <summary>Nobody hears an answer after the power has gone.</summary>
    private void Answer(Operation operation, OperationResult result)
    {
        if (process.HasPower && result != OperationResult.Unknown)
        {
            history.Answer(operation, result);
        }
    }
}
