using System.Collections.Immutable;
using Nephos.Client.Transport;
using Nephos.Replication.Groups;

namespace Nephos.Node.Objects.Groups;

/// <summary>What processes ask each other about replicas of shards.</summary>
internal static class GroupMethods
{
    /// <summary>i32 shard, 16 replica, request; answers a reply.</summary>
    public const ushort Handle = StorageMethods.Groups;

    /// <summary>i32 shard, i32 device, 16 replica, u8 whether one that is there may be replaced; answers u8 whether it was made.</summary>
    public const ushort Create = StorageMethods.Groups + 1;

    /// <summary>i32 shard, 16 replica, u64 epoch, i32 device and 16 replica to copy from; answers the position.</summary>
    public const ushort Install = StorageMethods.Groups + 2;

    /// <summary>i32 shard, 16 replica; answers u64 copy, position.</summary>
    public const ushort OpenCopy = StorageMethods.Groups + 3;

    /// <summary>u64 copy; answers a page.</summary>
    public const ushort NextPage = StorageMethods.Groups + 4;

    /// <summary>i32 shard, i32 device, 16 replica; answers u8 <see cref="MemberState"/>, u64 milliseconds of silence.</summary>
    public const ushort Probe = StorageMethods.Groups + 5;
}

/// <summary>What a member's process knows of its replica.</summary>
internal enum MemberState : byte
{
    Here,

    /// <summary>The device is there, this replica is not in it: it is new or was damaged.</summary>
    Lost,

    /// <summary>The device cannot be reached.</summary>
    Away,
}

/// <summary>Requests and replies of replicas as bytes: u8 kind, u64 epoch, then the fields in order.</summary>
internal static class GroupCodec
{
    public static CallWriter Write(CallWriter call, ReplicaRequest request) => request switch
    {
        ReplicaRequest.Seal => call.Byte(1).UInt64(request.Epoch),
        ReplicaRequest.Append append => Entries(
            Position(call.Byte(2).UInt64(request.Epoch), append.Previous).UInt64(append.Committed), append.Entries),
        ReplicaRequest.Read read => call.Byte(3).UInt64(request.Epoch).UInt64(read.From).Guid(read.For.Value),
        ReplicaRequest.Confirm => call.Byte(4).UInt64(request.Epoch),
        _ => throw new ArgumentException($"{request.GetType().Name} does not travel.", nameof(request)),
    };

    public static CallWriter Write(CallWriter call, ReplicaReply reply) => reply switch
    {
        ReplicaReply.Refused refused => call.Byte(1).UInt64(reply.Epoch).UInt64(refused.Promised),
        ReplicaReply.Sealed answer => Position(call.Byte(2).UInt64(reply.Epoch), answer.Last).UInt64(answer.Committed),
        ReplicaReply.Confirmed => call.Byte(3).UInt64(reply.Epoch),
        ReplicaReply.Appended appended => call.Byte(4).UInt64(reply.Epoch).UInt64(appended.Matched),
        ReplicaReply.Mismatch mismatch => call.Byte(5).UInt64(reply.Epoch).UInt64(mismatch.Hint),
        ReplicaReply.Entries entries => Entries(
            Position(call.Byte(6).UInt64(reply.Epoch).Guid(entries.For.Value), entries.Previous), entries.Items),
        ReplicaReply.Trimmed trimmed => Position(call.Byte(7).UInt64(reply.Epoch).Guid(trimmed.For.Value), trimmed.TrimmedTo),
        _ => throw new ArgumentException($"{reply.GetType().Name} does not travel.", nameof(reply)),
    };

    /// <exception cref="InvalidDataException">Not what <see cref="Write(CallWriter, ReplicaRequest)"/> wrote.</exception>
    public static ReplicaRequest ReadRequest(CallReader call)
    {
        var (kind, epoch) = (call.Byte(), call.UInt64());
        switch (kind)
        {
            case 1:
                return new ReplicaRequest.Seal(epoch);
            case 2:
                var (previous, committed) = (Position(ref call), call.UInt64());
                return new ReplicaRequest.Append(epoch, previous, Entries(ref call), committed);
            case 3:
                return new ReplicaRequest.Read(epoch, call.UInt64(), new ReplicaId(call.Guid()));
            case 4:
                return new ReplicaRequest.Confirm(epoch);
            default:
                throw new InvalidDataException($"A replica knows no request {kind}.");
        }
    }

    /// <exception cref="InvalidDataException">Not what <see cref="Write(CallWriter, ReplicaReply)"/> wrote.</exception>
    public static ReplicaReply ReadReply(CallReader call)
    {
        var (kind, epoch) = (call.Byte(), call.UInt64());
        switch (kind)
        {
            case 1:
                return new ReplicaReply.Refused(epoch, call.UInt64());
            case 2:
                var last = Position(ref call);
                return new ReplicaReply.Sealed(epoch, last, call.UInt64());
            case 3:
                return new ReplicaReply.Confirmed(epoch);
            case 4:
                return new ReplicaReply.Appended(epoch, call.UInt64());
            case 5:
                return new ReplicaReply.Mismatch(epoch, call.UInt64());
            case 6:
                var reader = new ReplicaId(call.Guid());
                var before = Position(ref call);
                return new ReplicaReply.Entries(epoch, reader, before, Entries(ref call));
            case 7:
                var behind = new ReplicaId(call.Guid());
                return new ReplicaReply.Trimmed(epoch, behind, Position(ref call));
            default:
                throw new InvalidDataException($"A writer knows no reply {kind}.");
        }
    }

    public static CallWriter Position(CallWriter call, LogPosition position) => call.UInt64(position.Epoch).UInt64(position.Sequence);

    public static LogPosition Position(ref CallReader call) => new(call.UInt64(), call.UInt64());

    private static CallWriter Entries(CallWriter call, ImmutableArray<LogEntry> entries)
    {
        call.Int32(entries.Length);
        foreach (var entry in entries)
        {
            Position(call, entry.Position).Bytes(entry.Body.Span);
        }

        return call;
    }

    private static ImmutableArray<LogEntry> Entries(ref CallReader call)
    {
        var count = call.Int32();
        if (count is < 0 or > WriterCore.AppendEntriesMax)
        {
            throw new InvalidDataException($"{count} entries do not travel together.");
        }

        var entries = ImmutableArray.CreateBuilder<LogEntry>(count);
        for (var n = 0; n < count; n++)
        {
            var position = Position(ref call);
            entries.Add(new LogEntry(position, call.Bytes()));
        }

        return entries.MoveToImmutable();
    }
}
