using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Nephos.State.Etcd;

/// <summary>How we know the members of a cluster, and they us.</summary>
internal static class EtcdTls
{
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="System.Security.Cryptography.CryptographicException">A file holds no certificate or key.</exception>
    public static SslClientAuthenticationOptions Options(StateStoreOptions options)
    {
        var tls = new SslClientAuthenticationOptions();
        if (options.EtcdCaFile.Length > 0)
        {
            var roots = new X509Certificate2Collection();
            roots.ImportFromPemFile(options.EtcdCaFile);
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.AddRange(roots);
            tls.CertificateChainPolicy = policy;
        }

        if (options.EtcdCertificateFile.Length > 0)
        {
            tls.ClientCertificates = [X509Certificate2.CreateFromPemFile(options.EtcdCertificateFile, options.EtcdKeyFile)];
        }

        return tls;
    }
}
