using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Nephos.Fuzzing.Targets;

/// <summary>Uploads from a browser's form to Swift.</summary>
internal sealed class SwiftFormTarget : FuzzTarget
{
    private readonly Faces _faces = new();

    public override string Name => "formpost";

    public override string About => "signed browser forms of Swift (FormPost)";

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf(
        "--B\r\n", "--B--\r\n", "Content-Disposition: form-data; name=\"redirect\"\r\n\r\n", "Content-Disposition: form-data; name=\"file1\"; filename=\"f\"\r\n\r\n", "max_file_size", "max_file_count", "expires", "signature",
        "x_delete_at", "\r\n", "boundary=", "filename*=UTF-8''%41");

    public override byte[] Make(Random random)
    {
        var path = Pick(random, "/object/v1/AUTH_p/box", "/object/v1/AUTH_p/box/prefix");
        var redirect = Pick(random, "", "http://a/b?c=d");
        var expires = Faces.Now.AddMinutes(5).ToUnixTimeSeconds();
        var signature = Convert.ToHexStringLower(HMACSHA256.HashData(
            Encoding.UTF8.GetBytes(Faces.UrlKey), Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{path}\n{redirect}\n100\n2\n{expires}"))));
        (string Name, string Value)[] fields =
            [("redirect", redirect), ("max_file_size", "100"), ("max_file_count", "2"), ("expires", expires.ToString(CultureInfo.InvariantCulture)), ("signature", signature)];
        var body = string.Concat(fields.Select(field => $"--B\r\nContent-Disposition: form-data; name=\"{field.Name}\"\r\n\r\n{field.Value}\r\n")) +
            string.Concat(Enumerable.Range(0, random.Next(1, 4)).Select(file =>
                $"--B\r\nContent-Disposition: form-data; name=\"file{file}\"; filename=\"f{file}\"\r\nContent-Type: text/plain\r\n\r\n{new string('x', random.Next(120))}\r\n")) + "--B--\r\n";
        return HttpInput.Make("POST", path, [("Content-Type", "multipart/form-data; boundary=B")], Encoding.UTF8.GetBytes(body));
    }

    public override void Run(byte[] input) => _faces.Swift(input);
}
