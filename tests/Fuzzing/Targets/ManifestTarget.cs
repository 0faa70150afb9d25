using System.Text;

namespace Nephos.Fuzzing.Targets;

/// <summary>JSON that clients send: the manifests of Swift's static large objects.</summary>
internal sealed class ManifestTarget : FuzzTarget
{
    private static readonly byte[] Head = HttpInput.Make("PUT", "/object/v1/AUTH_p/box/big?multipart-manifest=put", [("X-Auth-Token", Faces.Token)], []);

    private readonly Faces _faces = new();

    public override string Name => "json";

    public override string About => "JSON bodies: manifests of static large objects";

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf(
        "{\"path\":\"/box/key\"},", "\"etag\":\"0123456789abcdef0123456789abcdef\"", "\"size_bytes\":10", "\"range\":\"0-1\"", "\"range\":\"-5\"", "null", "true", "[", "]", "{", "}", ",", ":", "\"", "\\u0000", "\\ud800", "1e400", "[[[[[[[[");

    public override byte[] Make(Random random) => Encoding.UTF8.GetBytes("[" + string.Join(',', Enumerable.Range(0, random.Next(1, 5)).Select(_ =>
        $"{{\"path\":\"{Pick(random, "/box/key", "box/key", "/box/none", "/box/é")}\"{Pick(random, "", ",\"etag\":\"0123456789abcdef0123456789abcdef\"", ",\"etag\":null")}{Pick(random, "", ",\"size_bytes\":10", ",\"size_bytes\":\"10\"")}{Pick(random, "", ",\"range\":\"0-4\"", ",\"range\":\"-1\"")}}}")) + "]");

    public override void Run(byte[] input) => _faces.Swift([.. Head, .. input]);
}
