using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Nephos.Kernel.Errors;

namespace Nephos.Compute.Keypairs;

/// <summary>Checks public keys that users bring.</summary>
internal static class SshPublicKey
{
    private const int CharsMax = 16 * 1024;

    private static readonly HashSet<string> Kinds = new(StringComparer.Ordinal)
    {
        "ssh-rsa", "ssh-dss", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
    };

    /// <summary>The fingerprint of a key in OpenSSH format: <c>kind base64 [comment]</c>.</summary>
    /// <exception cref="FaultException">InvalidArgument: it is no such key.</exception>
    public static string Fingerprint(string publicKey)
    {
        var words = publicKey.Trim().Split(' ', 3, StringSplitOptions.RemoveEmptyEntries);
        if (publicKey.Length > CharsMax || words.Length < 2 || !Kinds.Contains(words[0]) || publicKey.AsSpan().Trim().ContainsAny('\n', '\r'))
        {
            throw Refused();
        }
        var blob = new byte[words[1].Length];
        if (!Convert.TryFromBase64String(words[1], blob, out var length) || !NamesItself(blob.AsSpan(0, length), words[0]))
        {
            throw Refused();
        }
        return FingerprintOf(blob.AsSpan(0, length));
    }

    /// <summary>MD5 in pairs of hex digits: what clients of this API compare.</summary>
    public static string FingerprintOf(ReadOnlySpan<byte> blob) => Colons(MD5.HashData(blob));

    public static string Colons(ReadOnlySpan<byte> hash) =>
        string.Join(':', Convert.ToHexStringLower(hash).Chunk(2).Select(pair => new string(pair)));

    private static bool NamesItself(ReadOnlySpan<byte> blob, string kind)
    {
        if (blob.Length < 4)
        {
            return false;
        }
        var length = BinaryPrimitives.ReadUInt32BigEndian(blob);
        return length <= blob.Length - 4 && Encoding.ASCII.GetString(blob.Slice(4, (int)length)) == kind && blob.Length > 4 + length;
    }

    private static FaultException Refused() =>
        new(Protos.Errors.V1.ErrorReason.InvalidArgument, "Keypair data is invalid: failed to generate fingerprint",
            new Dictionary<string, string> { ["field"] = "public_key" });
}
