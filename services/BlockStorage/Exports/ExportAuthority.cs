using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Nephos.Client.Nbd;

namespace Nephos.BlockStorage.Exports;

/// <summary>Signs the certificates of the export server and of its clients, and nothing else: whoever has one of these gets in nowhere else.</summary>
/// <remarks>Processes that share a secrets directory share the authority.</remarks>
internal sealed class ExportAuthority : IDisposable
{
    public const string FileName = "exports-ca.pem";

    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1", ClientAuthentication = "1.3.6.1.5.5.7.3.2";
    private const int SerialBytes = 16;
    private static readonly TimeSpan AuthorityLife = TimeSpan.FromDays(3650);
    private static readonly TimeSpan ClockSkew = TimeSpan.FromMinutes(5);

    private readonly X509Certificate2 _authority;
    private readonly X509Certificate2 _server;

    /// <param name="directory">Where the secrets are.</param>
    /// <param name="hosts">Names and addresses that clients reach the server by.</param>
    /// <param name="now">Certificates are valid from about now on.</param>
    /// <exception cref="IOException">The directory can not be written.</exception>
    /// <exception cref="CryptographicException">The file in it is no certificate with a key.</exception>
    public ExportAuthority(string directory, IEnumerable<string> hosts, DateTimeOffset now)
    {
        var file = Path.Combine(directory, FileName);
        if (!File.Exists(file)) Make(directory, file, now);
        _authority = X509Certificate2.CreateFromPemFile(file);
        _server = Sign("CN=nephos export server", ServerAuthentication, _authority.NotAfter, now, hosts, out _);
        Tls = new NbdTls(_server, _authority);
    }

    /// <summary>For the listener.</summary>
    public NbdTls Tls { get; }

    public string CertificatePem => _authority.ExportCertificatePem();

    /// <summary>A certificate that names one export, and its key.</summary>
    public (string Certificate, string Key) MakeClient(string exportId, DateTimeOffset until, DateTimeOffset now)
    {
        using var certificate = Sign($"CN={exportId}", ClientAuthentication, until, now, [], out var key);
        using (key) return (certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    // Another process may do the same at once: the first file stays.
    private static void Make(string directory, string file, DateTimeOffset now)
    {
        Directory.CreateDirectory(directory, OwnerOnly | UnixFileMode.UserExecute);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Nephos exports", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        using var made = request.CreateSelfSigned(now - ClockSkew, now + AuthorityLife);
        var temporary = $"{file}.{Guid.NewGuid():N}.tmp";
        using (var stream = new FileStream(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
        using (var writer = new StreamWriter(stream))
        {
            writer.WriteLine(made.ExportCertificatePem());
            writer.WriteLine(key.ExportPkcs8PrivateKeyPem());
            writer.Flush();
            stream.Flush(flushToDisk: true);
        }
        try
        {
            File.Move(temporary, file, overwrite: false);
        }
        catch (IOException) when (File.Exists(file))
        {
            File.Delete(temporary);
        }
    }

    private X509Certificate2 Sign(string subject, string purpose, DateTimeOffset until, DateTimeOffset now, IEnumerable<string> hosts, out ECDsa key)
    {
        key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(purpose)], critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_authority, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        var names = new SubjectAlternativeNameBuilder();
        var named = false;
        foreach (var host in hosts.Distinct(StringComparer.OrdinalIgnoreCase))
        {
            named = true;
            if (IPAddress.TryParse(host, out var address)) names.AddIpAddress(address);
            else names.AddDnsName(host);
        }
        if (named) request.CertificateExtensions.Add(names.Build());
        using var signed = request.Create(_authority, now - ClockSkew, until < _authority.NotAfter ? until : _authority.NotAfter, RandomNumberGenerator.GetBytes(SerialBytes));
        return signed.CopyWithPrivateKey(key);
    }

    public void Dispose()
    {
        _server.Dispose();
        _authority.Dispose();
    }
}
