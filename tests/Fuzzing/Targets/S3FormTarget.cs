using System.Text;

namespace Nephos.Fuzzing.Targets;

/// <summary>Uploads from a browser's form to S3: the parts of the form, the fields, and the policy that is signed.</summary>
internal sealed class S3FormTarget : FuzzTarget
{
    private readonly Faces _faces = new();

    public override string Name => "s3form";

    public override string About => "browser forms with a signed policy (POST to a bucket)";

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf(
        "--B\r\n", "--B--\r\n", "Content-Disposition: form-data; name=\"key\"\r\n\r\n", "Content-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n", "\r\n", "name=\"policy\"", "${filename}", "filename*=UTF-8''%41",
        "success_action_redirect", "success_action_status", "x-amz-meta-a", "boundary=", "\nContent-Type: multipart/form-data; boundary=B");

    public override byte[] Make(Random random)
    {
        var policy = Convert.ToBase64String(Encoding.UTF8.GetBytes(
            $"{{\"expiration\":\"2027-01-01T00:00:00Z\",\"conditions\":[{{\"bucket\":\"box\"}},[\"{Pick(random, "starts-with", "eq")}\",\"$key\",\"\"],[\"content-length-range\",0,{random.Next(100)}]," +
            $"{{\"x-amz-algorithm\":\"AWS4-HMAC-SHA256\"}},[\"starts-with\",\"$x-amz-credential\",\"\"],[\"starts-with\",\"$x-amz-date\",\"\"]{Pick(random, "", ",{\"acl\":\"private\"}", ",[\"eq\",\"$success_action_status\",\"201\"]", ",{\"a\":1}")}]}}"));
        var fields = new List<(string Name, string Value)> { ("key", Pick(random, "${filename}", "a/b", "é")) };
        if (random.Next(4) != 0)
        {
            fields.AddRange([("policy", policy), ("x-amz-algorithm", "AWS4-HMAC-SHA256"), ("x-amz-credential", "access/20260102/r/s3/aws4_request"), ("x-amz-date", "20260102T030405Z"), ("x-amz-signature", Faces.Sign(policy))]);
        }
        var body = string.Concat(fields.Select(field => $"--B\r\nContent-Disposition: form-data; name=\"{field.Name}\"\r\n\r\n{field.Value}\r\n")) +
            $"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.txt\"\r\nContent-Type: text/plain\r\n\r\n{new string('x', random.Next(50))}\r\n--B--\r\n";
        return HttpInput.Make("POST", "/box", [("Content-Type", "multipart/form-data; boundary=B")], Encoding.UTF8.GetBytes(body));
    }

    public override void Run(byte[] input) => _faces.S3(input, isSigned: false);
}
