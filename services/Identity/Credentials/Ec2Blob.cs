using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Nephos.Identity.Shared;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Credentials;

/// <summary>The blob of a credential of type ec2: an access key and its secret.</summary>
internal sealed record Ec2Blob(string Access, string Secret)
{
    /// <summary>The credential of an access key has this id, so that it is found without a search.</summary>
    public static string IdOf(string access) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(access)));

    public static Credential NewCredential(
        CloudKey key, string userId, string projectId, string access, string secret, string? applicationCredentialId)
    {
        var id = IdOf(access);
        return new Credential
        {
            Id = id,
            UserId = userId,
            ProjectId = projectId,
            Type = Credential.Ec2Type,
            SealedBlob = key.Seal(Encoding.UTF8.GetBytes(new Ec2Blob(access, secret).ToText()), Context(id)),
            ApplicationCredentialId = applicationCredentialId,
        };
    }

    /// <summary>What a sealed blob is bound to.</summary>
    public static string Context(string credentialId) => "credential " + credentialId;

    /// <exception cref="FaultException">InvalidArgument: not JSON with an access key and a secret.</exception>
    public static Ec2Blob Parse(string text)
    {
        try
        {
            if (JsonNode.Parse(text) is JsonObject blob && blob["access"]?.GetValueKind() == JsonValueKind.String &&
                blob["secret"]?.GetValueKind() == JsonValueKind.String &&
                blob["access"]!.GetValue<string>() is { Length: > 0 and <= 255 } access &&
                blob["secret"]!.GetValue<string>() is { Length: > 0 and <= 255 } secret)
            {
                return new Ec2Blob(access, secret);
            }
        }
        catch (JsonException)
        {
        }
        throw Faults.Invalid("blob", "must be JSON with access and secret, each of 1 to 255 characters");
    }

    public string ToText() => new JsonObject { ["access"] = Access, ["secret"] = Secret }.ToJsonString();
}
