using System.IO.Compression;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace Nephos.Images.Formats;

/// <summary>Decompresses clusters one after another into one buffer.</summary>
internal sealed class Qcow2Decompressor(Qcow2Compression compression, int clusterBytes)
{
    // A frame may ask for a buffer: what clusters of at most 2 MiB need, with some room.
    private const int MaxZstandardWindowLog = 23;

    private byte[] _input = [];

    /// <summary>The cluster that was decompressed last.</summary>
    public byte[] Output { get; } = new byte[clusterBytes];

    /// <summary>Where to put the compressed bytes; at most a little more than two clusters by the format.</summary>
    public Memory<byte> Input(int bytes)
    {
        if (_input.Length < bytes)
        {
            _input = new byte[bytes];
        }
        return _input.AsMemory(0, bytes);
    }

    /// <summary>Bytes after the end of the compressed stream are those of its neighbours, and ignored.</summary>
    /// <exception cref="InvalidDataException">The bytes are not a whole compressed cluster.</exception>
    public void Run(int inputBytes)
    {
        using var input = new MemoryStream(_input, 0, inputBytes, writable: false);
        using Stream stream = compression switch
        {
            Qcow2Compression.Zstandard => Zstandard(input),
            Qcow2Compression.Deflate => new DeflateStream(input, CompressionMode.Decompress, leaveOpen: true),
            _ => throw new InvalidOperationException($"{compression}"),
        };
        try
        {
            var read = stream.ReadAtLeast(Output, Output.Length, throwOnEndOfStream: false);
            if (read != Output.Length)
            {
                throw new InvalidDataException("a compressed cluster is cut short");
            }
        }
        catch (Exception exception) when (exception is ZstdException or IOException)
        {
            throw new InvalidDataException("a compressed cluster is damaged", exception);
        }
    }

    private static DecompressionStream Zstandard(MemoryStream input)
    {
        var stream = new DecompressionStream(input, leaveOpen: true);
        stream.SetParameter(ZSTD_dParameter.ZSTD_d_windowLogMax, MaxZstandardWindowLog);
        return stream;
    }
}
