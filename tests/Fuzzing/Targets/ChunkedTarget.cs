using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Nephos.ObjectStorage.S3;

namespace Nephos.Fuzzing.Targets;

/// <summary>aws-chunked bodies, with and without signatures and trailers. The first byte of an input chooses which.</summary>
internal sealed class ChunkedTarget : FuzzTarget
{
    private static readonly byte[] Key = [1, 2, 3];
    private static readonly SignatureClaim Claim = new(
        "a", "20260101", "r", "s3", new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), ["host"], new string('0', 64), "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", IsPresigned: false);

    private readonly byte[] _buffer = new byte[4096];

    public override string Name => "chunked";

    public override string About => "aws-chunked bodies";

    public override int BytesMax => 64 * 1024;

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf("\r\n", "0\r\n", ";chunk-signature=", "x-amz-checksum-crc32:AAAA", "x-amz-trailer-signature:", "ffffffffffffffff", "0000000000000001", "\n");

    public override byte[] Make(Random random)
    {
        var (signed, trailing) = (random.Next(2), random.Next(2));
        var body = new StringBuilder();
        var previous = Claim.Signature;
        for (var left = random.Next(4); left >= 0; left--)
        {
            var data = new string('x', left == 0 ? 0 : random.Next(1, 40));
            previous = Sign($"AWS4-HMAC-SHA256-PAYLOAD\n20260101T000000Z\n{Claim.Scope}\n{previous}\n{Hash("")}\n{Hash(data)}");
            body.Append(CultureInfo.InvariantCulture, $"{data.Length:x}{(signed == 1 ? ";chunk-signature=" + previous : "")}\r\n{data}{(left == 0 ? "" : "\r\n")}");
        }
        if (trailing == 1)
        {
            const string Trailer = "x-amz-checksum-crc32:AAAAAA==";
            body.Append(Trailer).Append("\r\n");
            if (signed == 1)
            {
                body.Append("x-amz-trailer-signature:").Append(Sign($"AWS4-HMAC-SHA256-TRAILER\n20260101T000000Z\n{Claim.Scope}\n{previous}\n{Hash(Trailer + "\n")}")).Append("\r\n");
            }
        }
        return [(byte)((signed << 1) | trailing), .. Encoding.ASCII.GetBytes(body.Append("\r\n").ToString())];
    }

    public override void Run(byte[] input)
    {
        if (input.Length == 0)
        {
            return;
        }
        using var stream = new AwsChunkedStream(new MemoryStream(input, 1, input.Length - 1), (input[0] & 2) != 0 ? Claim : null, Key, (input[0] & 1) != 0);
        try
        {
            var total = 0;
            for (int read; (read = stream.ReadAsync(_buffer, CancellationToken.None).AsTask().GetAwaiter().GetResult()) > 0; total += read)
            {
                if (total > input.Length)
                {
                    throw new InvalidDataException("More came out than went in.");
                }
            }
        }
        catch (S3Fault)
        {
        }
    }

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(text)));

    private static string Sign(string text) => Convert.ToHexStringLower(HMACSHA256.HashData(Key, Encoding.ASCII.GetBytes(text)));
}
