using System.Buffers;
using System.IO.Hashing;

namespace Nephos.LocalStorage.Objects;

/// <summary>Reads the segments of a journal, oldest first, into the logs of its groups.</summary>
internal sealed class JournalRecovery
{
    public const int PageBytes = 4096;
    private readonly Dictionary<Guid, JournalGroup> _groups = [];
    private ulong _batch;

    public IReadOnlyDictionary<Guid, JournalGroup> Groups => _groups;

    public ulong LastBatch => _batch;

    /// <summary>
    /// Behind the end there are pieces of a write that was cut off. They must be wiped before anything is appended: records of
    /// the next write could end where such a piece begins.
    /// </summary>
    public bool HasLeftovers { get; private set; }

    /// <summary>Where the next write goes in the newest segment.</summary>
    public long Position { get; private set; } = SegmentHeader.HeaderBytes;

    public void Read(IReadOnlyList<SegmentFile> segments)
    {
        var isDamaged = false;
        for (var n = 0; n < segments.Count; n++)
        {
            isDamaged |= !ReadSegment(segments[n], isNewest: n == segments.Count - 1);
        }

        foreach (var group in _groups.Values)
        {
            group.IsDamaged |= isDamaged || group.AssumedTrimmed > group.SaidTrimmed;
        }
    }

    /// <summary>Zeroes the rest of the newest segment.</summary>
    public void WipeLeftovers(SegmentFile newest)
    {
        using var zeros = new AlignedBuffer(1 << 20);
        for (var position = Position; position < newest.SizeBytes; position += zeros.SizeBytes)
        {
            Span<IoVector> pieces = [new IoVector(zeros.Address, (nint)Math.Min(zeros.SizeBytes, newest.SizeBytes - position))];
            newest.Write(pieces, position);
        }
    }

    /// <summary>False when records that were durable are lost: a gap with later writes behind it.</summary>
    private bool ReadSegment(SegmentFile segment, bool isNewest)
    {
        var buffer = ArrayPool<byte>.Shared.Rent((int)segment.SizeBytes);
        try
        {
            var bytes = buffer.AsSpan(0, segment.Read(0, buffer.AsSpan(0, (int)segment.SizeBytes)));
            var position = SegmentHeader.HeaderBytes;
            Position = position;
            while (position < bytes.Length)
            {
                if (TryRecord(bytes[position..], segment.Id, out var header))
                {
                    _batch = Math.Max(_batch, header.Batch);
                    Take(segment, header, position, bytes.Slice(position + JournalRecordHeader.SizeBytes, header.BodyBytes));
                    position += header.TotalBytes;
                    Position = position + PageBytes - 1 & ~(PageBytes - 1L);
                }
                else if (position % PageBytes != 0)
                {
                    position = position + PageBytes - 1 & ~(PageBytes - 1);
                }
                else
                {
                    break;
                }
            }

            return !HasLaterBatch(bytes, position, segment.Id, isNewest);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>
    /// Behind the first unreadable page there may be pieces of the write that was cut off (the next batch, never answered); of
    /// any later batch we know that all before it was answered.
    /// </summary>
    private bool HasLaterBatch(ReadOnlySpan<byte> bytes, int from, ulong segmentId, bool isNewest)
    {
        for (var position = from; position + JournalRecordHeader.SizeBytes <= bytes.Length; position += PageBytes)
        {
            if (JournalRecordHeader.TryRead(bytes[position..], out var header) && header.SegmentId == segmentId)
            {
                HasLeftovers = true;
                if (header.Batch > _batch + 1 || !isNewest)
                {
                    return true;
                }
            }
        }

        return false;
    }

    private static bool TryRecord(ReadOnlySpan<byte> bytes, ulong segmentId, out JournalRecordHeader header) =>
        JournalRecordHeader.TryRead(bytes, out header)
        && header.SegmentId == segmentId
        && bytes.Length >= header.TotalBytes
        && XxHash3.HashToUInt64(bytes.Slice(JournalRecordHeader.SizeBytes, header.BodyBytes)) == header.BodyHash;

    private void Take(SegmentFile segment, in JournalRecordHeader header, int position, ReadOnlySpan<byte> body)
    {
        if (header.Kind == JournalRecordKind.State && body.Length >= JournalStateBody.SizeBytes)
        {
            TakeState(header.Group, JournalStateBody.Read(body));
            return;
        }

        if (header.Kind == JournalRecordKind.Entry && _groups.TryGetValue(header.Group, out var group))
        {
            var place = new JournalPlace(
                header.Epoch, segment, position + JournalRecordHeader.SizeBytes, header.BodyBytes, header.BodyHash);
            group.IsDamaged |= !group.Put(header.Sequence, place);
            group.Promised = Math.Max(group.Promised, header.Epoch);
        }
    }

    private void TakeState(Guid id, in JournalStateBody state)
    {
        if (!_groups.TryGetValue(id, out var group))
        {
            _groups[id] = group = new JournalGroup(id, state.Replica);
        }

        if (state.Replica != group.Replica)
        {
            // A new life: what came before is another replica's.
            _groups[id] = group = new JournalGroup(id, state.Replica);
        }

        group.Promised = Math.Max(group.Promised, state.Promised);
        if (state.IsReset)
        {
            group.Reset(state.TrimmedEpoch, state.TrimmedSequence);
            group.AssumedTrimmed = 0;
            return;
        }

        group.SaidTrimmed = Math.Max(group.SaidTrimmed, state.TrimmedSequence);
        group.Trim(state.TrimmedEpoch, state.TrimmedSequence);
        if (state.LastSequence > group.LastSequence)
        {
            // Entries of segments that were used again; a later state record must say that they were trimmed.
            group.AssumedTrimmed = state.LastSequence;
            group.Reset(state.LastEpoch, state.LastSequence);
        }

        group.Committed = Math.Max(group.Committed, Math.Min(state.Committed, group.LastSequence));
    }
}
