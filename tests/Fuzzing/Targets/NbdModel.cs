using System.Buffers.Binary;
using Nephos.Client.Nbd;

namespace Nephos.Fuzzing.Targets;

/// <summary>What a stream of NBD requests asks for, read one after the other.</summary>
internal sealed class NbdModel
{
    private const int Block = 4096, GreetingBytes = 18, OptionReplyBytes = 20;

    private int _answers;

    public byte[] Content { get; } = new byte[NbdRequestTarget.SizeBytes];

    /// <summary>The stream stops where a client may stop, so that everything before was done and answered.</summary>
    public bool EndsWell { get; private set; } = true;

    public static NbdModel Read(ReadOnlySpan<byte> stream, bool readOnly)
    {
        var model = new NbdModel();
        while (stream.Length >= NbdProtocol.RequestBytes)
        {
            if (BinaryPrimitives.ReadUInt32BigEndian(stream) != NbdProtocol.RequestMagic)
            {
                model.EndsWell = false;
                return model;
            }
            var command = (NbdCommand)BinaryPrimitives.ReadUInt16BigEndian(stream[6..]);
            var length = BinaryPrimitives.ReadUInt32BigEndian(stream[24..]);
            if (command == NbdCommand.Disconnect) return model;
            var payload = command == NbdCommand.Write ? length : 0;
            if (stream.Length - NbdProtocol.RequestBytes < payload)
            {
                // What is too long for the buffer is begun before it is all there.
                model.EndsWell = payload < 64 << 10;
                return model;
            }
            var data = stream.Slice(NbdProtocol.RequestBytes, (int)payload);
            model._answers++;
            if (IsAllowed(stream, command, length, readOnly)) model.Apply(command, BinaryPrimitives.ReadUInt64BigEndian(stream[16..]), length, data);
            stream = stream[(NbdProtocol.RequestBytes + data.Length)..];
        }
        return model;
    }

    private static bool IsAllowed(ReadOnlySpan<byte> header, NbdCommand command, uint length, bool readOnly)
    {
        var allowed = command == NbdCommand.WriteZeroes ? NbdCommandFlags.Fua | NbdCommandFlags.NoHole | NbdCommandFlags.FastZero : NbdCommandFlags.Fua;
        var offset = BinaryPrimitives.ReadUInt64BigEndian(header[16..]);
        return command is NbdCommand.Write or NbdCommand.WriteZeroes or NbdCommand.Trim && !readOnly
            && ((NbdCommandFlags)BinaryPrimitives.ReadUInt16BigEndian(header[4..]) & ~allowed) == 0
            && offset <= NbdRequestTarget.SizeBytes && length <= NbdRequestTarget.SizeBytes - offset;
    }

    private void Apply(NbdCommand command, ulong offset, uint length, ReadOnlySpan<byte> data)
    {
        var target = Content.AsSpan((int)offset, (int)length);
        if (command == NbdCommand.Write) data.CopyTo(target);
        else if (command == NbdCommand.WriteZeroes) target.Clear();
        else
        {
            // A hint, which is taken for whole blocks.
            var (start, end) = (((int)offset + Block - 1) / Block * Block, (int)(offset + length) / Block * Block);
            if (end > start) Content.AsSpan(start, end - start).Clear();
        }
    }

    /// <summary>Looks at what the server said to a client with structured replies: each answer is whole, in the volume, and belongs to a request.</summary>
    public void CheckAnswers(ReadOnlySpan<byte> said)
    {
        Require(said.Length >= GreetingBytes, "there is no greeting");
        said = said[GreetingBytes..];
        while (said.Length >= OptionReplyBytes && BinaryPrimitives.ReadUInt64BigEndian(said) == NbdProtocol.OptionReplyMagic)
            said = said[(OptionReplyBytes + (int)BinaryPrimitives.ReadUInt32BigEndian(said[16..]))..];
        var ended = 0;
        while (!said.IsEmpty)
        {
            Require(said.Length >= NbdProtocol.SimpleReplyBytes, "an answer is cut off");
            var magic = BinaryPrimitives.ReadUInt32BigEndian(said);
            if (magic == NbdProtocol.SimpleReplyMagic)
            {
                ended++;
                said = said[NbdProtocol.SimpleReplyBytes..];
                continue;
            }
            Require(magic == NbdProtocol.ChunkMagic && said.Length >= NbdProtocol.ChunkHeaderBytes, "an answer begins with something else");
            var payload = (int)BinaryPrimitives.ReadUInt32BigEndian(said[16..]);
            Require(payload >= 0 && payload <= said.Length - NbdProtocol.ChunkHeaderBytes, "a chunk is cut off");
            CheckChunk((NbdChunk)BinaryPrimitives.ReadUInt16BigEndian(said[6..]), said.Slice(NbdProtocol.ChunkHeaderBytes, payload));
            ended += BinaryPrimitives.ReadUInt16BigEndian(said[4..]) & 1;
            said = said[(NbdProtocol.ChunkHeaderBytes + payload)..];
        }
        Require(EndsWell ? ended == _answers : ended <= _answers, $"{ended} answers to {_answers} requests");
    }

    private static void CheckChunk(NbdChunk type, ReadOnlySpan<byte> payload)
    {
        switch (type)
        {
            case NbdChunk.OffsetData:
                Require(payload.Length > 8 && InVolume(payload, payload.Length - 8), "data is outside of the volume");
                break;
            case NbdChunk.OffsetHole:
                Require(payload.Length == 12 && InVolume(payload, BinaryPrimitives.ReadUInt32BigEndian(payload[8..])), "a hole is outside of the volume");
                break;
            case NbdChunk.BlockStatus:
                Require(payload.Length >= 12 && payload.Length % 8 == 4, "a status has no ranges");
                for (var at = 4; at < payload.Length; at += 8) Require(BinaryPrimitives.ReadUInt32BigEndian(payload[at..]) > 0, "a range is empty");
                break;
            default:
                Require(type is NbdChunk.None or NbdChunk.Error or NbdChunk.ErrorOffset, $"there is no chunk {type}");
                break;
        }
    }

    private static bool InVolume(ReadOnlySpan<byte> payload, long length) =>
        BinaryPrimitives.ReadUInt64BigEndian(payload) is var offset && offset <= NbdRequestTarget.SizeBytes && length <= NbdRequestTarget.SizeBytes - (long)offset;

    private static void Require(bool holds, string what)
    {
        if (!holds) throw new InvalidOperationException(what);
    }
}
