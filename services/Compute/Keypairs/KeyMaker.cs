using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Nephos.Compute.Keypairs;

/// <param name="PrivateKey">PEM, or base64 of PKCS#12 for a certificate.</param>
internal sealed record MadeKey(string PublicKey, string PrivateKey, string Fingerprint);

/// <summary>Makes key pairs.</summary>
internal static class KeyMaker
{
    private const int RsaBits = 2048;
    private const int CertificateYears = 10;

    /// <summary>Oid of "user principal name" inside an other name.</summary>
    private const string PrincipalName = "1.3.6.1.4.1.311.20.2.3";
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    /// <summary>An RSA key: the kind every guest understands.</summary>
    public static MadeKey Rsa()
    {
        using var rsa = RSA.Create(RsaBits);
        var parameters = rsa.ExportParameters(includePrivateParameters: false);
        var blob = new SshBlob().Text("ssh-rsa").Integer(parameters.Exponent!).Integer(parameters.Modulus!).ToArray();
        return new MadeKey($"ssh-rsa {Convert.ToBase64String(blob)} Generated-by-Nephos", rsa.ExportRSAPrivateKeyPem() + "\n", SshPublicKey.FingerprintOf(blob));
    }

    /// <summary>An Ed25519 key in OpenSSH's own format.</summary>
    public static MadeKey Ed25519()
    {
        const string comment = "Generated-by-Nephos";
        var seed = RandomNumberGenerator.GetBytes(32);
        var check = RandomNumberGenerator.GetBytes(4);
        try
        {
            var publicKey = Keypairs.Ed25519.PublicKeyOf(seed);
            var blob = new SshBlob().Text("ssh-ed25519").Bytes(publicKey).ToArray();
            var secret = new SshBlob().Raw(check).Raw(check).Text("ssh-ed25519").Bytes(publicKey).Bytes([.. seed, .. publicKey]).Text(comment);
            for (byte pad = 1; secret.Length % 8 != 0; pad++)
            {
                secret.Raw([pad]);
            }
            var file = new SshBlob().Raw("openssh-key-v1\0"u8).Text("none").Text("none").Text("").Number(1).Bytes(blob).Bytes(secret.ToArray()).ToArray();
            var pem = PemEncoding.WriteString("OPENSSH PRIVATE KEY", file) + "\n";
            return new MadeKey($"ssh-ed25519 {Convert.ToBase64String(blob)} {comment}", pem, SshPublicKey.FingerprintOf(blob));
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    /// <summary>A certificate that names the user, for Windows remote management.</summary>
    public static MadeKey X509(string userId, DateTimeOffset now)
    {
        using var rsa = RSA.Create(RsaBits);
        var request = new CertificateRequest($"CN={userId}", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(ClientAuthentication)], critical: false));
        var names = new SubjectAlternativeNameBuilder();
        names.AddUserPrincipalName($"{userId}@localhost");
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.CreateSelfSigned(now.AddMinutes(-5), now.AddYears(CertificateYears));
        var bundle = certificate.Export(X509ContentType.Pkcs12);
        return new MadeKey(certificate.ExportCertificatePem() + "\n", Convert.ToBase64String(bundle), X509Fingerprint(certificate));
    }

    public static string X509Fingerprint(X509Certificate2 certificate) =>
        SshPublicKey.Colons(SHA1.HashData(certificate.RawData));
}

/// <summary>Writes the length-prefixed fields of SSH (RFC 4251, section 5).</summary>
internal sealed class SshBlob
{
    private readonly MemoryStream _bytes = new();

    public int Length => (int)_bytes.Length;

    public SshBlob Raw(ReadOnlySpan<byte> bytes)
    {
        _bytes.Write(bytes);
        return this;
    }

    public SshBlob Number(uint value)
    {
        Span<byte> field = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(field, value);
        return Raw(field);
    }

    public SshBlob Bytes(ReadOnlySpan<byte> bytes) => Number((uint)bytes.Length).Raw(bytes);

    public SshBlob Text(string text) => Bytes(Encoding.UTF8.GetBytes(text));

    /// <summary>A positive integer, big-endian, with a zero in front when its highest bit is set.</summary>
    public SshBlob Integer(ReadOnlySpan<byte> bigEndian)
    {
        var value = bigEndian.TrimStart((byte)0);
        return value.Length > 0 && value[0] >= 0x80 ? Bytes([0, .. value]) : Bytes(value);
    }

    public byte[] ToArray() => _bytes.ToArray();
}
