using System.Security.Cryptography;
using System.Text;
using Nephos.Hosting;

namespace Nephos.Identity.Shared;

/// <summary>Passwords in files that only the owner of the process may read, each written once and durably.</summary>
internal sealed class SecretFiles(NephosOptions options)
{
    public string Directory => options.SecretsDirectory;

    /// <summary>What the file holds; when there is none it is made of <paramref name="create"/> first, and is on disk on return.</summary>
    public string ReadOrCreate(string name, Func<string> create) =>
        Encoding.UTF8.GetString(SecretFile.ReadOrCreate(Directory, name, () => Encoding.UTF8.GetBytes(create() + "\n"))).Trim();

    /// <summary>Random letters and digits, easy to copy: 190 bits.</summary>
    public static string NewPassword() => RandomNumberGenerator.GetString("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", 32);
}
