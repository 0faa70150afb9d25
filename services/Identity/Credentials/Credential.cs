namespace Nephos.Identity.Credentials;

/// <summary>A secret of a user for another protocol. Owner and type never change.</summary>
internal sealed record Credential
{
    public const string Ec2Type = "ec2";

    /// <summary>For type ec2 the SHA-256 of the access key, hex.</summary>
    public required string Id { get; init; }

    public required string UserId { get; init; }

    public string? ProjectId { get; init; }

    public required string Type { get; init; }

    /// <summary>Sealed with the key of the cloud, bound to the id.</summary>
    public required byte[] SealedBlob { get; init; }

    /// <summary>What the credential may at most do when an application credential made it; null for no such bound.</summary>
    public string? ApplicationCredentialId { get; init; }

    /// <summary>The SHA-256 of an access key that is not the one of the id any more, hex.</summary>
    public string? AccessHash { get; init; }
}
