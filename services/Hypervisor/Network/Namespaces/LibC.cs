using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Nephos.Hypervisor.Network.Namespaces;

/// <summary>The few calls of the C library that .NET has no name for. Numbers are those of Linux on 64-bit machines.</summary>
internal static partial class LibC
{
    public const int CloneNewNet = 0x4000_0000;
    public const int OpenReadOnly = 0;
    public const int OpenReadWrite = 2;
    public const int OpenCloseOnExec = 0x8_0000;
    public const ulong MountBind = 4096;
    public const ulong MountRecursive = 16384;
    public const ulong MountShared = 1 << 20;
    public const int UnmountDetach = 2;

    public const int FamilyNetlink = 16;
    public const int FamilyPacket = 17;
    public const int SocketRaw = 3;
    public const int SocketCloseOnExec = 0x8_0000;
    public const int SocketNonBlocking = 0x800;

    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    public static partial int Unshare(int flags);

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    public static partial int SetNamespace(SafeFileHandle fd, int type);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenRaw(string path, int flags);

    [LibraryImport("libc", EntryPoint = "mount", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Mount(string source, string target, string? type, ulong flags, nint data);

    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Unmount(string target, int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static unsafe partial int IoControl(SafeFileHandle fd, nuint request, void* argument);

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int SocketRawCall(int domain, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    public static unsafe partial int Bind(SafeFileHandle fd, void* address, uint length);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    public static unsafe partial int SetSocketOption(SafeFileHandle fd, int level, int name, void* value, uint length);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    public static unsafe partial nint Send(SafeFileHandle fd, void* buffer, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    public static unsafe partial nint Receive(SafeFileHandle fd, void* buffer, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "if_nametoindex", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial uint InterfaceIndex(string name);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint EffectiveUserId();

    /// <exception cref="Win32Exception">The file cannot be opened.</exception>
    public static SafeFileHandle Open(string path, int flags)
    {
        var fd = OpenRaw(path, flags | OpenCloseOnExec);
        return fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw Error($"open {path}");
    }

    /// <exception cref="Win32Exception">The kernel has no such socket, or the rights are missing.</exception>
    public static SafeFileHandle OpenSocket(int domain, int type, int protocol)
    {
        var fd = SocketRawCall(domain, type | SocketCloseOnExec, protocol);
        return fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw Error($"socket family {domain}");
    }

    public static Win32Exception Error(string what)
    {
        var code = Marshal.GetLastPInvokeError();
        return new Win32Exception(code, $"{what}: {Marshal.GetPInvokeErrorMessage(code)} (errno {code})");
    }
}
