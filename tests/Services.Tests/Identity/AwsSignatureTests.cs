using System.Text;
using Nephos.Identity.Credentials;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Identity;

public sealed class AwsSignatureTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>The example of the AWS General Reference, "Deriving the signing key".</summary>
    [Fact]
    public void The_signing_key_of_the_published_example_is_derived() => Assert.Equal(
        "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9",
        Convert.ToHexStringLower(AwsSignatures.SigningKey("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam")));

    /// <summary>GET Object of "Authenticating Requests: Using the Authorization Header" in the S3 API reference.</summary>
    [Fact]
    public void The_published_string_to_sign_of_an_object_get_is_accepted_and_a_changed_one_is_not()
    {
        const string Secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        const string Text = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n" +
            "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972";
        const string Signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

        Assert.True(AwsSignatures.IsStringSigned(Secret, Encoding.ASCII.GetBytes(Text), Signature));
        Assert.False(AwsSignatures.IsStringSigned(Secret, Encoding.ASCII.GetBytes(Text + "0"), Signature));
        Assert.False(AwsSignatures.IsStringSigned(Secret, Encoding.ASCII.GetBytes(Text.Replace("/s3/", "/ec2/", StringComparison.Ordinal)), Signature));
        Assert.False(AwsSignatures.IsStringSigned(Secret, [], ""));
    }

    /// <summary>GET Object of "Authenticating Requests (AWS Signature Version 2)" in the S3 user guide.</summary>
    [Fact]
    public void The_published_string_to_sign_of_version_2_for_objects_is_accepted() => Assert.True(AwsSignatures.IsStringSigned(
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        Encoding.ASCII.GetBytes("GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/awsexamplebucket1/photos/puppy.jpg"),
        "qgk2+6Sv9/oM7G3qLEjTH1a1l1g="));

    /// <summary>The ListUsers request of the AWS General Reference.</summary>
    [Fact]
    public void A_request_signed_with_version_4_is_accepted_with_and_without_the_port()
    {
        var request = new SignedRequest
        {
            Access = "AKIDEXAMPLE",
            Signature = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            Host = "iam.amazonaws.com",
            Verb = "GET",
            Path = "/",
            Params = new Dictionary<string, string> { ["Action"] = "ListUsers", ["Version"] = "2010-05-08" },
            Headers = new Dictionary<string, string>
            {
                ["Authorization"] = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, " +
                    "SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
                ["content-type"] = "application/x-www-form-urlencoded; charset=utf-8",
                ["X-Amz-Date"] = "20150830T123600Z",
            },
            BodyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        };
        const string Secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

        Assert.True(AwsSignatures.IsSigned(Secret, request));
        Assert.True(AwsSignatures.IsSigned(Secret, request with { Host = "iam.amazonaws.com:443" }));
        Assert.False(AwsSignatures.IsSigned(Secret, request with { Path = "/other" }));
        Assert.False(AwsSignatures.IsSigned(Secret, request with { Headers = new Dictionary<string, string>() }));
        Assert.Equal(new DateTimeOffset(2015, 8, 30, 12, 36, 0, TimeSpan.Zero), AwsSignatures.SignedAt(request));
    }

    [Fact]
    public async Task An_old_signature_an_unknown_key_and_an_ordinary_caller_are_refused()
    {
        await using var world = await IdentityWorld.StartAsync();
        var (user, project) = await world.NewMemberAsync();
        var owner = await world.CallerAsync((await world.LoginAsync(user, project)).Token);
        var key = await world.AccessKeys.CreateAsync(owner, user.Id, project.Id, "", None);
        var request = new SignedRequest
        {
            Access = key.Access,
            Signature = "",
            Params = new Dictionary<string, string> { ["SignatureVersion"] = "0", ["Action"] = "x", ["Timestamp"] = "2030-01-01T12:00:00Z" },
        };
        request = request with
        {
            Signature = Convert.ToBase64String(System.Security.Cryptography.HMACSHA1.HashData(
                Encoding.UTF8.GetBytes(key.Secret), Encoding.UTF8.GetBytes("x2030-01-01T12:00:00Z"))),
        };

        var (token, description) = await world.AccessKeys.AuthenticateAsync(world.Service, request, None);
        Assert.Equal(project.Id, description.Project!.Id);
        await world.AssertAliveAsync(token);
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(() => world.AccessKeys.AuthenticateAsync(owner, request, None)));
        Assert.Equal(ErrorReason.NotFound, await ReasonAsync(() => world.AccessKeys.AuthenticateAsync(world.Service, request with { Access = "no" }, None)));
        Assert.Equal(ErrorReason.Unauthenticated, await ReasonAsync(() =>
            world.AccessKeys.AuthenticateAsync(world.Service, request with { Signature = "no" }, None)));
        world.Time.Advance(TimeSpan.FromMinutes(15));
        Assert.Equal(ErrorReason.Unauthenticated, await ReasonAsync(() => world.AccessKeys.AuthenticateAsync(world.Service, request, None)));
    }

    [Fact]
    public async Task The_day_key_comes_with_a_token_that_dies_with_the_access_key()
    {
        await using var world = await IdentityWorld.StartAsync();
        var (user, project) = await world.NewMemberAsync();
        var owner = await world.CallerAsync((await world.LoginAsync(user, project)).Token);
        var key = await world.AccessKeys.CreateAsync(owner, user.Id, project.Id, "", None);

        var day = await world.AccessKeys.GetDayKeyAsync(world.Service, key.Access, "20300101", "RegionOne", "s3", None);

        Assert.Equal(AwsSignatures.SigningKey(key.Secret, "20300101", "RegionOne", "s3"), day.Key);
        Assert.Equal(ErrorReason.Forbidden, await ReasonAsync(() => world.AccessKeys.GetDayKeyAsync(owner, key.Access, "20300101", "r", "s3", None)));
        await world.AccessKeys.DeleteAsync(owner, user.Id, key.Access, None);
        await world.AssertDeadAsync(day.Token);
        Assert.Equal(
            ErrorReason.Unauthenticated, await ReasonAsync(() => world.AccessKeys.GetDayKeyAsync(world.Service, key.Access, "20300101", "r", "s3", None)));
    }

    [Fact]
    public async Task Secrets_are_sealed_in_the_store()
    {
        await using var world = await IdentityWorld.StartAsync();
        var (user, project) = await world.NewMemberAsync();
        var owner = await world.CallerAsync((await world.LoginAsync(user, project)).Token);
        var key = await world.AccessKeys.CreateAsync(owner, user.Id, project.Id, "", None);

        var scan = await world.Store.ScanAsync("", "", 10_000, None);

        Assert.DoesNotContain(scan.Entries, entry => Encoding.UTF8.GetString(entry.Value.Span).Contains(key.Secret, StringComparison.Ordinal));
        Assert.Equal(key.Secret, (await world.AccessKeys.GetAsync(owner, user.Id, key.Access, None)).Secret);
    }

    private static async Task<ErrorReason> ReasonAsync(Func<Task> attempt) => (await Assert.ThrowsAsync<FaultException>(attempt)).Reason;
}
