using System.Buffers.Binary;
using Nephos.Client.Transport;
using Nephos.Replication.Volumes;

namespace Nephos.Client.Volumes;

/// <summary>How calls of heads to replicas in other processes look.</summary>
/// <remarks>The head of a call: 0 16 bytes device | 16 16 bytes volume | 32 i64 epoch | 40 arguments. Of an answer: 0 i32 status | 4 results. Little-endian.</remarks>
public static class ReplicaWire
{
    public const ushort Describe = StorageMethods.Blocks, Seal = Describe + 1, Begin = Describe + 2, Read = Describe + 3, Write = Describe + 4, Flush = Describe + 5,
        GetRanges = Describe + 6, GetSums = Describe + 7, ListWritten = Describe + 8, Open = Describe + 9;

    public const int CallBytes = 40;
    public const int StatusBytes = 4;
    public const int WriteBytes = 25;
    public const int RangeBytes = 17;

    /// <summary>Sums in one answer.</summary>
    public const int SumsMax = 1024;

    public static byte[] Call(Guid device, Guid volume, long epoch, int argumentBytes)
    {
        var call = new byte[CallBytes + argumentBytes];
        device.TryWriteBytes(call);
        volume.TryWriteBytes(call.AsSpan(16));
        BinaryPrimitives.WriteInt64LittleEndian(call.AsSpan(32), epoch);
        return call;
    }

    public static byte[] Answer(ReplicaStatus status, int resultBytes = 0)
    {
        var answer = new byte[StatusBytes + resultBytes];
        BinaryPrimitives.WriteInt32LittleEndian(answer, (int)status);
        return answer;
    }

    /// <summary>A history: i64 sequence | i32 count | for each epoch i64 number, i64 first.</summary>
    public static byte[] Encode(VolumeHistory history)
    {
        var bytes = new byte[12 + 16 * history.Epochs.Count];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, history.Sequence);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), history.Epochs.Count);
        for (var i = 0; i < history.Epochs.Count; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(12 + 16 * i), history.Epochs[i].Epoch);
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(20 + 16 * i), history.Epochs[i].First);
        }
        return bytes;
    }

    /// <exception cref="FormatException">It is not a history.</exception>
    public static VolumeHistory DecodeHistory(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < 12) throw new FormatException("A history has at least 12 bytes.");
        var count = BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]);
        if (count is < 0 or > VolumeHistory.EpochsMax || bytes.Length < 12 + 16 * count) throw new FormatException($"A history of {bytes.Length} bytes has no {count} epochs.");
        var epochs = new EpochStart[count];
        for (var i = 0; i < count; i++)
            epochs[i] = new EpochStart(BinaryPrimitives.ReadInt64LittleEndian(bytes[(12 + 16 * i)..]), BinaryPrimitives.ReadInt64LittleEndian(bytes[(20 + 16 * i)..]));
        return new VolumeHistory(epochs, BinaryPrimitives.ReadInt64LittleEndian(bytes));
    }
}
