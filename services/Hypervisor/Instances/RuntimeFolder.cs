using System.Security.Cryptography;
using System.Text;

namespace Nephos.Hypervisor.Instances;

/// <summary>Where sockets and pid files are: short paths (a unix socket's has at most 107 bytes), gone after a reboot as the processes are,
/// the same for every start over one state folder.</summary>
internal sealed class RuntimeFolder
{
    public RuntimeFolder(string stateDirectory)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(stateDirectory));
        var mark = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(full)).AsSpan(0, 5));
        Root = Environment.IsPrivilegedProcess ? $"/run/nephos-{mark}" : $"/tmp/nephos-{Environment.UserName}-{mark}";
    }

    public string Root { get; }

    public string Machine(Guid instanceId) => Path.Combine(Root, "i", instanceId.ToString("N"));

    public string VolumeSocket(Guid attachmentId) => Path.Combine(Root, "v", attachmentId.ToString("N"));

    /// <summary>Removes the sockets of heads that ended with the agent of before; ours are made anew.</summary>
    public void ClearVolumeSockets()
    {
        var folder = Path.Combine(Root, "v");
        if (Directory.Exists(folder))
        {
            foreach (var socket in Directory.EnumerateFiles(folder))
            {
                File.Delete(socket);
            }
        }
    }

    /// <summary>Makes the folders, for the owner only.</summary>
    /// <exception cref="IOException">Somebody else's folder stands in the place.</exception>
    public void Create()
    {
        const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Directory.CreateDirectory(Root, OwnerOnly);
        if (File.GetUnixFileMode(Root) != OwnerOnly)
        {
            // In a shared folder an existing name may be another user's; changing the mode fails then.
            File.SetUnixFileMode(Root, OwnerOnly);
        }
        Directory.CreateDirectory(Path.Combine(Root, "i"), OwnerOnly);
        Directory.CreateDirectory(Path.Combine(Root, "v"), OwnerOnly);
    }
}
