using System.Text;

namespace Nephos.Fuzzing.Targets;

/// <summary>Whole requests to the S3 face: paths, queries, headers and bodies of every route.</summary>
internal sealed class S3Target : FuzzTarget
{
    private static readonly string[] Queries =
    [
        "", "?acl", "?tagging", "?uploads", "?uploadId=1&partNumber=1", "?versions", "?versioning", "?list-type=2&prefix=a&delimiter=%2F&max-keys=3", "?delete", "?policy", "?cors", "?lifecycle", "?object-lock",
        "?retention", "?legal-hold", "?attributes", "?partNumber=1", "?versionId=null", "?response-content-type=a%2Fb", "?location", "?website", "?publicAccessBlock", "?ownershipControls", "?list-type=2&continuation-token=YQ",
    ];

    private static readonly string[] Bodies =
    [
        "", "0123456789", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>", "<Delete><Object><Key>key</Key></Object></Delete>",
        "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>", "5\r\n01234\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
    ];

    private readonly Faces _faces = new();

    public override string Name => "s3";

    public override string About => "whole requests to the S3 face, of a member of the project and of nobody";

    public override int BytesMax => 8 * 1024;

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf([
        "\nRange: bytes=0-1", "\nIf-Match: \"a\"", "\nIf-None-Match: *", "\nIf-Modified-Since: Fri, 02 Jan 2026 03:04:05 GMT", "\nx-amz-copy-source: /box/key", "\nx-amz-copy-source-range: bytes=0-1",
        "\nx-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER", "\nx-amz-trailer: x-amz-checksum-crc32", "\nx-amz-decoded-content-length: 5", "\nx-amz-checksum-sha256: AAAA", "\nx-amz-tagging: a=b&c=d",
        "\nx-amz-acl: public-read", "\nx-amz-grant-read: id=\"p\"", "\nx-amz-meta-a: b", "\nContent-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==", "\nx-amz-object-attributes: ETag,Checksum,ObjectParts,ObjectSize", "\nOrigin: http://b.a",
        "\nx-amz-object-lock-mode: GOVERNANCE", "\nx-amz-metadata-directive: REPLACE", "\nx-amz-storage-class: STANDARD", "\nx-amz-checksum-algorithm: CRC32", "\nx-amz-expected-bucket-owner: p", "PUT ", "POST ", "HEAD ", "DELETE ", "OPTIONS ", .. Queries]);

    public override byte[] Make(Random random) => HttpInput.Make(
        Pick(random, "GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"),
        Pick(random, "/box/key", "/box", "/box/a/b", "/", "/box/%C3%A9", "/p:box/key", "/other/key") + Queries[random.Next(Queries.Length)],
        Enumerable.Range(0, random.Next(4)).Select(_ => (Encoding.UTF8.GetString(Words[random.Next(Words.Count)]).Split(": ") is [['\n', .. var name], var value] ? (name, value) : ("x-amz-date", "20260102T030405Z"))),
        Encoding.UTF8.GetBytes(Bodies[random.Next(Bodies.Length)]));

    public override void Run(byte[] input) => _faces.S3(input, isSigned: input.Length % 4 != 0);
}
