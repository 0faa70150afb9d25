using System.Text;

namespace Nephos.Fuzzing.Targets;

/// <summary>Whole requests to the Swift face: paths, queries and headers, with and without a token, with signed URLs.</summary>
internal sealed class SwiftTarget : FuzzTarget
{
    private static readonly string[] Queries =
    [
        "", "?format=json", "?format=xml&delimiter=%2F&prefix=k&limit=2", "?marker=a&end_marker=z&reverse=true", "?multipart-manifest=get", "?multipart-manifest=delete", "?symlink=get", "?part-number=1", "?versions",
        "?version-id=null", "?bulk-delete", "?temp_url_sig=0000000000000000000000000000000000000000&temp_url_expires=1800000000", "?temp_url_sig=sha256:AAAA&temp_url_expires=2030-01-01T00:00:00Z&temp_url_prefix=k&filename=a%22b&inline",
    ];

    private readonly Faces _faces = new();

    public override string Name => "swift";

    public override string About => "whole requests to the Swift face: paths, queries, headers, signed URLs";

    public override int BytesMax => 8 * 1024;

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf([
        "\nX-Auth-Token: t", "\nX-Object-Meta-A: b", "\nX-Container-Meta-Quota-Bytes: 5", "\nX-Remove-Container-Meta-A: x", "\nX-Container-Read: .r:*,.r:-x.y,.rlistings,p:u,*:*", "\nX-Container-Write: p:u", "\nX-Delete-At: 1800000000",
        "\nX-Delete-After: 60", "\nX-Copy-From: box/key", "\nX-Copy-From-Account: AUTH_p", "\nDestination: box/other", "\nX-Object-Manifest: box/k", "\nX-Symlink-Target: box/key", "\nX-Symlink-Target-Etag: 0123456789abcdef0123456789abcdef",
        "\nRange: bytes=0-1,3-4", "\nIf-None-Match: *", "\nIf-Match: a", "\nIf-Unmodified-Since: Fri, 02 Jan 2026 03:04:05 GMT", "\nIf-Range: x", "\nETag: x", "\nX-Versions-Enabled: true", "\nX-Versions-Location: box",
        "\nX-Container-Sync-To: //r/c/a/b", "\nX-Container-Sync-Auth: r n s", "\nX-Timestamp: 1", "\nAccept: application/json, text/xml;q=0.5", "\nOrigin: http://a", "\nAccess-Control-Request-Method: PUT", "\nX-Storage-Policy: Policy-0",
        "\nContent-Type: text/x; charset=a", "\nContent-Disposition: x", "\nReferer: http://x.y/z", "\nX-Web-Mode: true", "\nX-Newest: true", "\nX-Fresh-Metadata: true", "COPY ", "PUT ", "/object/v1/AUTH_p", "%2F", "%00", .. Queries]);

    public override byte[] Make(Random random) => HttpInput.Make(
        Pick(random, "GET", "PUT", "POST", "DELETE", "HEAD", "COPY", "OPTIONS"),
        "/object/v1/AUTH_p" + Pick(random, "/box/key", "/box", "/box/a%2Fb", "", "/", "/box/", "/box//x", "/new/%C3%A9") + Queries[random.Next(Queries.Length)],
        Enumerable.Range(0, random.Next(5)).Select(_ => Encoding.UTF8.GetString(Words[random.Next(Words.Count)]).Split(": ", 2) is [['\n', .. var name], var value] ? (name, value) : ("X-Auth-Token", Faces.Token)),
        Encoding.UTF8.GetBytes(Pick(random, "", "0123456789", "box/key\nbox/none\n/box\n")));

    public override void Run(byte[] input) => _faces.Swift(input);
}
