using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Nephos.Client.Nbd;
using Nephos.Hosting;

namespace Nephos.BlockStorage.Exports;

/// <summary>Signs the certificates of the export server and of its clients, and nothing else: whoever has one of these gets in nowhere else.</summary>
/// <remarks>Processes that share a secrets directory share the authority.</remarks>
internal sealed class ExportAuthority : IDisposable
{
    public const string FileName = "exports-ca.pem";

    private readonly X509Certificate2 _authority;
    private readonly X509Certificate2 _server;

    /// <param name="directory">Where the secrets are.</param>
    /// <param name="hosts">Names and addresses that clients reach the server by.</param>
    /// <param name="now">Certificates are valid from about now on.</param>
    /// <exception cref="IOException">The directory can not be written.</exception>
    /// <exception cref="CryptographicException">The file in it is no certificate with a key.</exception>
    public ExportAuthority(string directory, IEnumerable<string> hosts, DateTimeOffset now)
    {
        var pem = Encoding.ASCII.GetString(SecretFile.ReadOrCreate(directory, FileName, () => Make(now)));
        _authority = X509Certificate2.CreateFromPem(pem, pem);
        _server = CertificateAuthority.Sign(_authority, "nephos export server", [CertificateAuthority.ServerAuthentication], hosts, now, _authority.NotAfter);
        Tls = new NbdTls(_server, _authority);
    }

    /// <summary>For the listener.</summary>
    public NbdTls Tls { get; }

    public string CertificatePem => _authority.ExportCertificatePem();

    /// <summary>A certificate that names one export, and its key.</summary>
    public (string Certificate, string Key) MakeClient(string exportId, DateTimeOffset until, DateTimeOffset now)
    {
        using var certificate = CertificateAuthority.Sign(_authority, exportId, [CertificateAuthority.ClientAuthentication], [], now, until);
        return (certificate.ExportCertificatePem(), CertificateAuthority.ExportKeyPem(certificate));
    }

    private static byte[] Make(DateTimeOffset now)
    {
        using var made = CertificateAuthority.Make("Nephos exports", now);
        return Encoding.ASCII.GetBytes($"{made.ExportCertificatePem()}\n{CertificateAuthority.ExportKeyPem(made)}\n");
    }

    public void Dispose()
    {
        _server.Dispose();
        _authority.Dispose();
    }
}
