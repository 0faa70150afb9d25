using System.Globalization;
using System.Text;
using CsCheck;
using Nephos.ObjectStorage.S3;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>The decoder of aws-chunked bodies, on its own: whatever comes, it ends, with the bytes that were meant or a fault.</summary>
public sealed class AwsChunkedTests
{
    private static readonly string[] Pieces = ["0", "5", "a", ";", "\r\n", "\n", "chunk-signature=", ":", "x"];

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("5\r\n")]
    [InlineData("5\r\nab")]
    [InlineData("5\r\nabcde")]
    [InlineData("5\r\nabcde\r\n")]
    [InlineData("5\r\nabcde\r\n0")]
    public async Task A_body_that_is_cut_is_incomplete(string body) =>
        Assert.Equal("IncompleteBody", (await Assert.ThrowsAsync<S3Fault>(() => DecodeAsync(Bytes(body)))).Code);

    [Theory]
    [InlineData("x\r\n")]
    [InlineData("-1\r\nabc\r\n0\r\n\r\n")]
    [InlineData("\r\n")]
    [InlineData("0x5\r\nabcde\r\n0\r\n\r\n")]
    [InlineData("ffffffffffffffff\r\n")]
    [InlineData("7fffffffffffffff\r\n")]
    [InlineData("11111111111111111\r\n")]
    [InlineData("5\nabcde\r\n0\r\n\r\n")]
    [InlineData("3\r\nabcde\r\n0\r\n\r\n")]
    [InlineData("0\r\nno-trailer-was-announced: 1\r\n\r\n")]
    public async Task A_malformed_frame_is_refused(string body) =>
        Assert.Equal("InvalidChunkSizeError", (await Assert.ThrowsAsync<S3Fault>(() => DecodeAsync(Bytes(body)))).Code);

    [Fact]
    public async Task A_line_without_end_is_refused_after_its_bound() =>
        Assert.Equal("InvalidChunkSizeError", (await Assert.ThrowsAsync<S3Fault>(() => DecodeAsync(Bytes("5;" + new string('a', 1 << 20))))).Code);

    [Fact]
    public async Task Trailers_are_bounded_in_number()
    {
        var body = "0\r\n" + string.Concat(Enumerable.Range(0, 1000).Select(index => $"x-{index}: 1\r\n")) + "\r\n";

        Assert.Equal("InvalidChunkSizeError", (await Assert.ThrowsAsync<S3Fault>(() => DecodeAsync(Bytes(body), hasTrailer: true))).Code);
    }

    [Fact]
    public void Frames_of_any_sizes_in_reads_of_any_sizes_give_the_content() =>
        Gen.Select(Gen.Byte.Array[0, 5000], Gen.Int[1, 2000], Gen.Int[1, 3000]).Sample((content, chunk, read) =>
        {
            var decoded = DecodeAsync(Frame(content, chunk), readBytes: read).GetAwaiter().GetResult();
            Assert.Equal(content, decoded);
        });

    [Fact]
    public void Any_bytes_end_in_content_or_a_fault() =>
        Gen.OneOf(
            Gen.Byte.Array[0, 200],
            Gen.Int[0, Pieces.Length - 1].Array[0, 40].Select(parts => Bytes(string.Concat(parts.Select(part => Pieces[part])))))
        .Sample(body =>
        {
            try
            {
                DecodeAsync(body, hasTrailer: true).GetAwaiter().GetResult();
            }
            catch (S3Fault fault)
            {
                Assert.Equal(400, fault.Status);
            }
        });

    private static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);

    private static byte[] Frame(byte[] content, int chunkBytes)
    {
        var body = new MemoryStream();
        for (var start = 0; start < content.Length; start += chunkBytes)
        {
            var part = content.AsSpan(start, Math.Min(chunkBytes, content.Length - start));
            body.Write(Bytes(part.Length.ToString("x", CultureInfo.InvariantCulture) + "\r\n"));
            body.Write(part);
            body.Write("\r\n"u8);
        }
        body.Write("0\r\n\r\n"u8);
        return body.ToArray();
    }

    private static async Task<byte[]> DecodeAsync(byte[] body, bool hasTrailer = false, int readBytes = 1000)
    {
        using var decoder = new AwsChunkedStream(new MemoryStream(body), null, [], hasTrailer);
        var all = new MemoryStream();
        var buffer = new byte[readBytes];
        int read;
        while ((read = await decoder.ReadAsync(buffer, CancellationToken.None)) > 0)
        {
            all.Write(buffer, 0, read);
        }
        return all.ToArray();
    }
}
