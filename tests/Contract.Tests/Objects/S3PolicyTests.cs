using Nephos.ObjectStorage.S3;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>Bucket policies: who is named and who is not, sets of values, and conditions on tags.</summary>
public sealed class S3PolicyTests(ObjectCloud cloud) : ObjectTests(cloud)
{
    [Theory]
    [InlineData("ForAnyValue:StringEquals", "a,b", "b", true)]
    [InlineData("ForAnyValue:StringEquals", "a,b", "c", false)]
    [InlineData("ForAnyValue:StringEquals", "", "c", false)]
    [InlineData("ForAllValues:StringEquals", "a,b", "a", false)]
    [InlineData("ForAllValues:StringLike", "a1,a2", "a*", true)]
    [InlineData("ForAllValues:StringEquals", "", "a", true)]
    [InlineData("ForAnyValue:StringNotEquals", "a,b", "a", true)]
    [InlineData("ForAllValues:StringNotEquals", "a,b", "c", true)]
    [InlineData("ForAllValues:StringNotEquals", "a,b", "b", false)]
    [InlineData("StringNotEquals", "a,b", "b", false)]
    [InlineData("StringNotEquals", "", "b", true)]
    [InlineData("StringEqualsIfExists", "", "b", true)]
    [InlineData("Null", "", "true", true)]
    [InlineData("Null", "a", "true", false)]
    public void Sets_of_values_are_held_against_the_condition(string operation, string actual, string value, bool holds)
    {
        var policy = S3Policy.Parse(Statement($$"""
            "Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::box/*",
            "Condition":{ "{{operation}}": { "s3:RequestObjectTagKeys": ["{{value}}"] } }
            """), "box");

        var verdict = policy.Evaluate(new PolicyRequest("p", "u", "s3:PutObject", "arn:aws:s3:::box/k",
            key => key == "s3:requestobjecttagkeys" ? actual.Split(',', StringSplitOptions.RemoveEmptyEntries) : []));

        Assert.Equal(holds ? PolicyVerdict.Allow : PolicyVerdict.Silent, verdict);
    }

    [Fact]
    public async Task Everyone_but_those_not_named_is_denied()
    {
        await S3Async("PUT", "/box");
        await S3Async("PUT", "/box/key", Utf8("x"));
        var stranger = Stranger.Split(':');
        await PolicyAsync($$"""
            "Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::box/*"},
            {"Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:iam::{{stranger[1]}}:user/{{stranger[0]}}","{{Project}}"]},"Action":"s3:GetObject","Resource":"arn:aws:s3:::box/*"
            """);

        (await S3Async("GET", $"/{Project}%3Abox/key", null, Stranger)).Is(200);
        (await S3Async("GET", $"/{Project}%3Abox/key", null, $"carol:{stranger[1]}:member")).Is(403);
        (await S3Async("GET", $"/{Project}%3Abox/key", null, "")).Is(403);
        (await S3Async("GET", "/box/key")).Is(200);
    }

    [Fact]
    public void Whoever_is_not_named_is_public() => Assert.True(S3Policy.Parse(
        Statement("\"Effect\":\"Allow\",\"NotPrincipal\":{\"AWS\":\"p\"},\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::box/*\""), "box").IsPublic);

    [Fact]
    public async Task Rights_can_depend_on_the_tags_that_an_object_has()
    {
        await S3Async("PUT", "/box");
        await S3Async("PUT", "/box/open", Utf8("x"), null, ("x-amz-tagging", "Access=public&other=1"));
        await S3Async("PUT", "/box/closed", Utf8("x"), null, ("x-amz-tagging", "access=public"));
        await PolicyAsync("""
            "Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::box/*","Condition":{"StringEquals":{"s3:ExistingObjectTag/Access":"public"}}
            """);

        (await S3Async("GET", $"/{Project}%3Abox/open", null, Stranger)).Is(200);
        // The names of tags are told apart by case.
        (await S3Async("GET", $"/{Project}%3Abox/closed", null, Stranger)).Is(403);
        await S3Async("DELETE", "/box/open?tagging");
        (await S3Async("GET", $"/{Project}%3Abox/open", null, Stranger)).Is(403);
    }

    [Fact]
    public async Task Writes_can_be_bound_to_the_tags_that_they_set()
    {
        await S3Async("PUT", "/box");
        await S3Async("PUT", "/box/key", Utf8("x"));
        await PolicyAsync("""
            "Effect":"Allow","Principal":"*","Action":["s3:PutObject","s3:PutObjectTagging"],"Resource":"arn:aws:s3:::box/*",
            "Condition":{"StringEquals":{"s3:RequestObjectTag/team":"red"},"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["team","size"]}}
            """);
        static byte[] Tags(string name, string value) =>
            Utf8($"<Tagging><TagSet><Tag><Key>team</Key><Value>red</Value></Tag><Tag><Key>{name}</Key><Value>{value}</Value></Tag></TagSet></Tagging>");

        (await S3Async("PUT", $"/{Project}%3Abox/new", Utf8("x"), Stranger, ("x-amz-tagging", "team=red&size=1"))).Is(200);
        (await S3Async("PUT", $"/{Project}%3Abox/new", Utf8("x"), Stranger, ("x-amz-tagging", "team=blue"))).Is(403);
        (await S3Async("PUT", $"/{Project}%3Abox/new", Utf8("x"), Stranger, ("x-amz-tagging", "team=red&other=1"))).Is(403);
        (await S3Async("PUT", $"/{Project}%3Abox/new", Utf8("x"), Stranger)).Is(403);
        (await S3Async("PUT", $"/{Project}%3Abox/key?tagging", Tags("size", "2"), Stranger)).Is(200);
        (await S3Async("PUT", $"/{Project}%3Abox/key?tagging", Tags("other", "2"), Stranger)).Is(403);
        Assert.Equal(["team", "size"], (await S3Async("GET", "/box/key?tagging")).Values("Key"));
    }

    private async Task PolicyAsync(string statement) => (await S3Async("PUT", "/box?policy", Utf8(Statement(statement)))).Is(204);

    private static string Statement(string content) => $"{{\"Version\":\"2012-10-17\",\"Statement\":[{{{content}}}]}}";
}
