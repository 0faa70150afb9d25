using System.Text;
using Nephos.ObjectStorage.S3;

namespace Nephos.Fuzzing.Targets;

/// <summary>Bucket policies: parsing, and deciding by what was parsed.</summary>
internal sealed class PolicyTarget : FuzzTarget
{
    private const string Bucket = "box";

    public override string Name => "policy";

    public override string About => "bucket policies, parsed and evaluated";

    public override int BytesMax => S3Policy.MaxBytes;

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf(
        "\"Version\":\"2012-10-17\",", "\"Statement\":", "\"Effect\":\"Allow\"", "\"Effect\":\"Deny\"", "\"Principal\":\"*\"", "\"NotPrincipal\":{\"AWS\":\"p\"}", "\"Action\":", "\"NotAction\":",
        "\"Resource\":", "\"NotResource\":", "\"Condition\":{", "\"StringLike\":{\"s3:prefix\":\"a*?*\"}", "\"IpAddress\":{\"aws:SourceIp\":\"::/0\"}", "\"NumericLessThan\":{\"s3:max-keys\":\"1e308\"}",
        "\"DateLessThan\":{\"aws:CurrentTime\":\"2020-01-01\"}", "\"Null\":{\"a\":\"true\"}", "ForAllValues:", "ForAnyValue:", "IfExists", "*", "?", "arn:aws:s3:::box/*", "{", "}", "[", "]", "\\u0000", "\\ud800");

    public override byte[] Make(Random random)
    {
        var statements = Enumerable.Range(0, random.Next(1, 4)).Select(_ =>
            $"{{\"Effect\":\"{Pick(random, "Allow", "Deny")}\",\"{Pick(random, "Principal", "NotPrincipal")}\":{Pick(random, "\"*\"", "{\"AWS\":[\"arn:aws:iam::p:user/u\",\"*\"]}", "{\"AWS\":\"p\"}")}," +
            $"\"{Pick(random, "Action", "NotAction")}\":[\"s3:*\",\"s3:{Pick(random, "GetObject", "Put*", "*?*t")}\"],\"Resource\":\"arn:aws:s3:::box/{Pick(random, "*", "a*b*c*?", "key")}\"," +
            $"\"Condition\":{{\"{Pick(random, "", "ForAllValues:", "ForAnyValue:")}{Pick(random, "StringEquals", "StringNotLike", "NumericLessThan", "DateGreaterThan", "IpAddress", "Bool", "Null", "ArnLike")}{Pick(random, "", "IfExists")}\":" +
            $"{{\"{Pick(random, "aws:SourceIp", "s3:prefix", "s3:ExistingObjectTag/a", "aws:CurrentTime")}\":[{Pick(random, "\"1\"", "\"true\"", "\"10.0.0.0/8\"", "\"2030-01-01T00:00:00Z\"", "1.5", "true")}]}}}}}}");
        return Encoding.UTF8.GetBytes($"{{\"Version\":\"2012-10-17\",\"Statement\":[{string.Join(',', statements)}]}}");
    }

    public override void Run(byte[] input)
    {
        S3Policy policy;
        try
        {
            policy = S3Policy.Parse(Encoding.UTF8.GetString(input), Bucket);
        }
        catch (S3Fault)
        {
            return;
        }
        _ = policy.IsPublic;
        foreach (var value in new[] { "", "1", "a/b/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "10.1.2.3", "2031-01-01T00:00:00Z", "true" })
        {
            policy.Evaluate(new PolicyRequest("p", "u", "s3:GetObject", "arn:aws:s3:::box/" + value, _ => value.Length == 0 ? [] : [value, "x"]));
            policy.Evaluate(new PolicyRequest(null, null, "s3:PutObject", "arn:aws:s3:::box", _ => [value]));
        }
    }
}
