using System.IO.Hashing;

namespace Nephos.LocalStorage.Objects;

public sealed record JournalOptions
{
    /// <summary>Size of each journal file; at least 1 MiB more than <see cref="WriteBytesMax"/>.</summary>
    public long SegmentBytes { get; init; } = 16L << 20;

    /// <summary>Bytes written at once; no append may be larger.</summary>
    public int WriteBytesMax { get; init; } = 8 << 20;

    /// <summary>Segments kept for replicas that are behind, before decided entries are trimmed.</summary>
    public int SegmentsKept { get; init; } = 4;
}

/// <summary>
/// The logs of all replicas of index groups on one device, in one sequence of segments with one committer: entries of many
/// groups share each disk flush. Entries are kept until <see cref="Trim"/>; the index database holds them by then. Thread-safe.
/// </summary>
public sealed class Journal : IDisposable
{
    private const string SegmentsName = "journal";
    private readonly SegmentPool _pool;
    private readonly JournalCommitter _committer;
    private readonly JournalOptions _options;

    private Journal(SegmentPool pool, JournalCommitter committer, JournalOptions options) =>
        (_pool, _committer, _options) = (pool, committer, options);

    internal static Journal Open(
        IDeviceMedium medium, Guid deviceId, JournalOptions options, Func<long, bool> hasRoom, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.SegmentBytes, options.WriteBytesMax + (1L << 20));
        var pool = SegmentPool.Open(
            medium, SegmentsName, SegmentKind.Journal, deviceId, options.SegmentBytes, reserve: 1, hasRoom, time,
            out var used, out var damaged);
        var recovery = new JournalRecovery();
        recovery.Read(used);
        if (recovery.HasLeftovers)
        {
            recovery.WipeLeftovers(used[^1]);
        }

        var groups = recovery.Groups.ToDictionary();
        foreach (var name in damaged)
        {
            // Whatever it held is unknown.
            pool.Delete(name);
            foreach (var group in groups.Values)
            {
                group.IsDamaged = true;
            }
        }

        var committer = new JournalCommitter(medium, pool, groups, used, recovery.LastBatch, recovery.Position, options.WriteBytesMax);
        return new Journal(pool, committer, options);
    }

    public long SizeBytes => _pool.SizeBytes;

    public bool HasFailed => _committer.HasFailed;

    /// <summary>The log of a group, when this device has a replica of it.</summary>
    public JournalGroup? Find(Guid group)
    {
        lock (_committer.Groups)
        {
            return _committer.Groups.GetValueOrDefault(group);
        }
    }

    /// <summary>The groups that this device has a log of, and whether it is more than an empty one.</summary>
    public IReadOnlyList<(Guid Group, bool IsEmpty)> List()
    {
        lock (_committer.Groups)
        {
            return [.. _committer.Groups.Values.Select(g => (g.Group, g is { Promised: 0, LastSequence: 0, IsDamaged: false }))];
        }
    }

    /// <summary>Begins a replica with an empty log in place of what may be there.</summary>
    public ValueTask<StoreStatus> CreateAsync(Guid group, Guid replica) =>
        _committer.PostAsync(new JournalRequest { Group = group, NewReplica = replica });

    /// <summary>Bytes of the bodies of one append.</summary>
    public const int AppendBytesMax = JournalRecordHeader.BodyBytesMax;

    /// <summary>Records a promise and entries, in this order; completes when they are durable.</summary>
    /// <param name="promised">0 leaves the promise as it is.</param>
    public ValueTask<StoreStatus> AppendAsync(Guid group, ulong promised, IReadOnlyList<JournalEntry> entries) =>
        _committer.PostAsync(new JournalRequest { Group = group, Promised = promised, Entries = entries });

    /// <summary>Forgets all entries: the log begins after this position, up to which the index database holds everything durably.</summary>
    public ValueTask<StoreStatus> ResetAsync(Guid group, ulong promised, ulong epoch, ulong sequence) =>
        _committer.PostAsync(new JournalRequest { Group = group, Promised = promised, ResetTo = (epoch, sequence) });

    /// <summary>Reads decided or undecided entries from a sequence on; empty when they are trimmed or not there.</summary>
    public List<JournalEntry> Read(Guid group, ulong from, int countMax, int bytesMax)
    {
        var places = new List<(ulong Sequence, JournalPlace Place)>();
        lock (_committer.Groups)
        {
            var bytes = 0;
            for (var sequence = from; places.Count < countMax && bytes < bytesMax; sequence++)
            {
                if (_committer.Groups.GetValueOrDefault(group)?.Find(sequence) is not { } place)
                {
                    break;
                }

                places.Add((sequence, place));
                bytes += place.BodyBytes;
            }
        }

        var entries = new List<JournalEntry>(places.Count);
        foreach (var (sequence, place) in places)
        {
            var body = new byte[place.BodyBytes];
            if (place.Segment.Read(place.BodyOffset, body) != body.Length || XxHash3.HashToUInt64(body) != place.BodyHash)
            {
                break; // Damaged, or used again after a trim in between.
            }

            entries.Add(new JournalEntry(place.Epoch, sequence, body));
        }

        return entries;
    }

    /// <summary>True when so many segments are in use that decided entries should be made durable in the index and trimmed.</summary>
    public bool WantsTrim => _committer.SegmentCount > _options.SegmentsKept;

    /// <summary>The sequence up to which a group's entries must be trimmed to free the oldest segment; 0 when it uses none of it.</summary>
    public ulong OldestSegmentEnd(Guid group)
    {
        lock (_committer.Groups)
        {
            return _committer.LastSequenceInOldest(group);
        }
    }

    /// <summary>Forgets entries up to a sequence, which the index database holds durably, and uses freed segments again.</summary>
    public ValueTask<StoreStatus> TrimAsync(Guid group, ulong sequence) =>
        _committer.PostAsync(new JournalRequest { Group = group, TrimTo = sequence });

    /// <summary>Notes what is decided, so that recovery knows; not durable by itself.</summary>
    public void NoteCommitted(Guid group, ulong sequence)
    {
        lock (_committer.Groups)
        {
            if (_committer.Groups.TryGetValue(group, out var log))
            {
                log.Committed = Math.Max(log.Committed, Math.Min(sequence, log.LastSequence));
            }
        }
    }

    public void Dispose()
    {
        _pool.Dispose();
        _committer.Dispose();
    }
}
