using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Nephos.Hosting;

/// <summary>Makes authorities of our own and the certificates they sign (RFC 5280): P-256 keys, one level deep, valid from a little before now on.</summary>
public static class CertificateAuthority
{
    /// <summary>Purposes of a certificate: its owner may listen, or connect.</summary>
    public const string ServerAuthentication = "1.3.6.1.5.5.7.3.1", ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    private const int SerialBytes = 16;
    private static readonly TimeSpan Life = TimeSpan.FromDays(3650);
    private static readonly TimeSpan ClockSkew = TimeSpan.FromMinutes(5);

    /// <summary>An authority for ten years, with its key.</summary>
    public static X509Certificate2 Make(string name, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        return request.CreateSelfSigned(now - ClockSkew, now + Life);
    }

    /// <summary>A certificate with a new key, for these purposes only, which ends with its authority at the latest.</summary>
    /// <param name="authority">With its key.</param>
    /// <param name="name">Common name.</param>
    /// <param name="purposes">At least one.</param>
    /// <param name="hosts">Names and addresses its owner is reached by; none for a client.</param>
    /// <param name="now">The present.</param>
    /// <param name="until">Last moment of its life.</param>
    public static X509Certificate2 Sign(X509Certificate2 authority, string name, IReadOnlyCollection<string> purposes, IEnumerable<string> hosts, DateTimeOffset now, DateTimeOffset until)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([.. purposes.Select(purpose => new Oid(purpose))], critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(authority, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        if (AlternativeNames(hosts) is { } names) request.CertificateExtensions.Add(names);
        using var signed = request.Create(authority, now - ClockSkew, until < authority.NotAfter ? until : authority.NotAfter, RandomNumberGenerator.GetBytes(SerialBytes));
        return signed.CopyWithPrivateKey(key);
    }

    private static X509Extension? AlternativeNames(IEnumerable<string> hosts)
    {
        var names = new SubjectAlternativeNameBuilder();
        var any = false;
        foreach (var host in hosts.Distinct(StringComparer.OrdinalIgnoreCase))
        {
            any = true;
            if (IPAddress.TryParse(host, out var address)) names.AddIpAddress(address);
            else names.AddDnsName(host);
        }
        return any ? names.Build() : null;
    }

    /// <summary>The private key of a certificate as PEM (PKCS #8).</summary>
    public static string ExportKeyPem(X509Certificate2 certificate)
    {
        using var key = certificate.GetECDsaPrivateKey() ?? throw new CryptographicException("The certificate has no EC key.");
        return key.ExportPkcs8PrivateKeyPem();
    }
}
