using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Nephos.LocalStorage.Objects;

/// <summary>The few system calls of Linux that .NET does not offer: direct synchronous files, gathered writes, locks.</summary>
internal static unsafe partial class DirectIo
{
    /// <summary>Offset, length and memory of direct transfers are multiples of this on every file system we support.</summary>
    public const int SectorBytes = 512;

    /// <summary>One gathered write takes at most this many pieces (IOV_MAX).</summary>
    public const int VectorCountMax = 1024;

    private const int OReadWrite = 2, OCreate = 0x40, OCloseOnExec = 0x80000, ODataSync = 0x1000;
    private const int AdviseRandom = 1;
    private const int LockExclusive = 2, LockNonBlocking = 4;
    private const int AtEmptyPath = 0x1000, AtFdCwd = -100;
    private const int ErrorInterrupted = 4, ErrorInvalid = 22;

    // The value of O_DIRECT differs between processor architectures.
    private static readonly int ODirect = RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm ? 0x10000 : 0x4000;

    /// <summary>Opens for writes that are durable when they return; past the page cache where the file system allows.</summary>
    public static SafeFileHandle OpenDurable(string path, bool create)
    {
        var flags = OReadWrite | OCloseOnExec | ODataSync | (create ? OCreate : 0);
        var descriptor = Open(path, flags | ODirect, 0x180);
        if (descriptor < 0 && Marshal.GetLastPInvokeError() == ErrorInvalid)
        {
            descriptor = Open(path, flags, 0x180);
        }

        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw Failure("open", path);
    }

    /// <summary>Writes all pieces at the offset; returns when they are durable.</summary>
    public static void WriteAll(SafeFileHandle file, Span<IoVector> pieces, long offset)
    {
        while (!pieces.IsEmpty)
        {
            nint written;
            // SAFETY: the vectors stay pinned for the call, and each points into memory that its owner keeps alive and unmoved
            // until the write completes (native memory, or pinned by the request).
            fixed (IoVector* first = pieces)
            {
                written = WriteVector(file, first, Math.Min(pieces.Length, VectorCountMax), offset);
            }

            if (written <= 0)
            {
                if (written < 0 && Marshal.GetLastPInvokeError() == ErrorInterrupted)
                {
                    continue;
                }

                throw Failure("pwritev", "");
            }

            offset += written;
            while (!pieces.IsEmpty && written >= pieces[0].Length)
            {
                written -= pieces[0].Length;
                pieces = pieces[1..];
            }

            if (written > 0)
            {
                pieces[0] = new IoVector(pieces[0].Address + written, pieces[0].Length - written);
            }
        }
    }

    /// <summary>Fills two buffers from one place of the file; returns the bytes read, fewer only at the end of the file.</summary>
    public static int ReadInto(SafeFileHandle file, long offset, Span<byte> first, Span<byte> second)
    {
        var total = 0;
        // SAFETY: both spans are pinned for the duration of the call and the vectors carry their exact lengths.
        fixed (byte* a = first, b = second)
        {
            var vectors = stackalloc IoVector[2];
            while (total < first.Length + second.Length)
            {
                var inFirst = Math.Min(total, first.Length);
                var inSecond = total - inFirst;
                vectors[0] = new IoVector((nint)a + inFirst, first.Length - inFirst);
                vectors[1] = new IoVector((nint)b + inSecond, second.Length - inSecond);
                var read = ReadVector(file, vectors, 2, offset + total);
                if (read < 0)
                {
                    if (Marshal.GetLastPInvokeError() == ErrorInterrupted)
                    {
                        continue;
                    }

                    throw Failure("preadv", "");
                }

                if (read == 0)
                {
                    break;
                }

                total += (int)read;
            }
        }

        return total;
    }

    /// <summary>Reserves blocks so that later writes cannot run out of space; false when the file system is full or cannot.</summary>
    public static bool TryAllocate(SafeFileHandle file, long sizeBytes) =>
        Allocate(file, 0, 0, sizeBytes) == 0;

    /// <summary>Says that reads want what they ask for and nothing around it.</summary>
    public static void ExpectRandomReads(SafeFileHandle file) => _ = Advise(file, 0, 0, AdviseRandom);

    /// <summary>False when another process holds the lock.</summary>
    public static bool TryLock(SafeFileHandle file) =>
        Lock(file, LockExclusive | LockNonBlocking) == 0;

    /// <summary>Makes creations, renames and removals in a directory durable.</summary>
    public static void SyncDirectory(string path)
    {
        var descriptor = Open(path, OCloseOnExec, 0);
        if (descriptor < 0)
        {
            throw Failure("open", path);
        }

        using var directory = new SafeFileHandle(descriptor, ownsHandle: true);
        if (Sync(directory) != 0)
        {
            throw Failure("fsync", path);
        }
    }

    /// <summary>True while the open file is still what its path names: not removed, not replaced.</summary>
    public static bool IsStillAt(SafeFileHandle file, string path)
    {
        var opened = stackalloc byte[StatxBytes];
        var named = stackalloc byte[StatxBytes];
        // SAFETY: statx fills at most StatxBytes (the size fixed by the kernel's interface) of each buffer.
        if (StatxOf(file, "", AtEmptyPath, StatxBasic, opened) != 0
            || Statx(AtFdCwd, path, 0, StatxBasic, named) != 0)
        {
            return false;
        }

        var links = *(uint*)(opened + 16);
        return links > 0
            && *(ulong*)(opened + 32) == *(ulong*)(named + 32)       // inode
            && *(ulong*)(opened + 136) == *(ulong*)(named + 136);    // device, major and minor
    }

    /// <summary>The file system that holds the path, as a number that differs between mounted file systems; null when there is no such path.</summary>
    public static ulong? FileSystemOf(string path)
    {
        var buffer = stackalloc byte[StatxBytes];
        // SAFETY: as above.
        return Statx(AtFdCwd, path, 0, StatxBasic, buffer) == 0 ? *(ulong*)(buffer + 136) : null;
    }

    private const int StatxBytes = 256;
    private const uint StatxBasic = 0x7ff;

    private static IOException Failure(string call, string path)
    {
        var error = Marshal.GetLastPInvokeError();
        return new IOException($"{call} {path}: {new Win32Exception(error).Message}", error);
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "pwritev", SetLastError = true)]
    private static partial nint WriteVector(SafeFileHandle file, IoVector* pieces, int count, long offset);

    [LibraryImport("libc", EntryPoint = "preadv", SetLastError = true)]
    private static partial nint ReadVector(SafeFileHandle file, IoVector* pieces, int count, long offset);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    private static partial int Advise(SafeFileHandle file, long offset, long length, int advice);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Lock(SafeFileHandle file, int operation);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatxOf(SafeFileHandle file, string path, int flags, uint mask, byte* buffer);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int directory, string path, int flags, uint mask, byte* buffer);
}

/// <summary>A piece of memory as the kernel takes it (struct iovec of a 64-bit system).</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly struct IoVector(nint address, nint length)
{
    public readonly nint Address = address;
    public readonly nint Length = length;
}
