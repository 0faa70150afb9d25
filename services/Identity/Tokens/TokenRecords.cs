namespace Nephos.Identity.Tokens;

/// <summary>See <see cref="Hosting.Authentication.TokenRevocation"/>.</summary>
internal sealed record RevocationRecord(string Subject, long Epoch, DateTimeOffset Until);

/// <summary>A key that tokens are or were signed with.</summary>
/// <param name="SealedPrivateKey">PKCS #8, sealed with the key of the cloud, bound to the key id.</param>
/// <param name="PublicKey">SubjectPublicKeyInfo.</param>
/// <param name="RetiredAt">Null on the one that signs.</param>
internal sealed record SigningKeyRecord(
    string KeyId, byte[] SealedPrivateKey, byte[] PublicKey, DateTimeOffset CreatedAt, DateTimeOffset? RetiredAt);
