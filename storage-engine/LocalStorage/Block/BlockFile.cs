using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Nephos.LocalStorage.Block;

/// <summary>What a file of a block store was asked to do; a test may make it fail.</summary>
public enum FileOperation
{
    Read,
    Write,
    Sync,
    Allocate,
}

/// <summary>Asked before each operation on a file: the error number it shall fail with, or 0. Writes and holes name their range.</summary>
public delegate int FileFault(FileOperation operation, string path, long offset, long length);

/// <summary>One piece of a gathered write, as the kernel's <c>struct iovec</c>: 0 address, 8 length.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct IoPiece
{
    public nint Address;
    public nint Length;
}

/// <summary>A file read and written at given places by plain system calls, without allocation.</summary>
/// <remarks>Safe for use by several threads; the handle is counted, so closing waits for calls that run.</remarks>
public sealed partial class BlockFile : IDisposable
{
    /// <summary>The most pieces a single gathered write takes, as the kernel limits it.</summary>
    public const int PiecesMax = 1024;

    private const int Eintr = 4;
    private const int KeepSize = 1, PunchHoleFlag = 2;
    private readonly SafeFileHandle _handle;
    private readonly FileFault? _faults;

    public BlockFile(string path, FileMode mode, FileFault? faults)
    {
        Path = path;
        _faults = faults;
        _handle = File.OpenHandle(path, mode, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
    }

    public string Path { get; }

    public long LengthBytes => RandomAccess.GetLength(_handle);

    public void SetLength(long lengthBytes) => RandomAccess.SetLength(_handle, lengthBytes);

    /// <summary>Reads until the buffer is full; what lies behind the end of the file reads as zero.</summary>
    public unsafe void Read(long offset, Span<byte> buffer)
    {
        Fail(FileOperation.Read, offset, buffer.Length);
        // SAFETY: the span is pinned for the time of the calls, and never more than its rest is asked for.
        fixed (byte* start = buffer)
        {
            var done = 0;
            while (done < buffer.Length)
            {
                var count = PRead(_handle, start + done, (nuint)(buffer.Length - done), offset + done);
                if (count > 0) { done += (int)count; continue; }
                if (count == 0) { buffer[done..].Clear(); return; }
                ThrowUnlessInterrupted("pread");
            }
        }
    }

    public unsafe void Write(long offset, ReadOnlySpan<byte> data)
    {
        Fail(FileOperation.Write, offset, data.Length);
        // SAFETY: the span is pinned for the time of the calls, and never more than its rest is written.
        fixed (byte* start = data)
        {
            var done = 0;
            while (done < data.Length)
            {
                var count = PWrite(_handle, start + done, (nuint)(data.Length - done), offset + done);
                if (count > 0) done += (int)count;
                else ThrowUnlessInterrupted("pwrite");
            }
        }
    }

    /// <summary>Writes the pieces one behind the other. The pieces are changed when the kernel took only a part.</summary>
    public unsafe void Write(long offset, Span<IoPiece> pieces)
    {
        Fail(FileOperation.Write, offset, LengthOf(pieces));
        // SAFETY: the array of pieces is pinned; the caller guarantees that each piece stays valid during the call.
        fixed (IoPiece* start = pieces)
        {
            var index = 0;
            while (index < pieces.Length)
            {
                var count = PWriteV(_handle, start + index, Math.Min(pieces.Length - index, PiecesMax), offset);
                if (count <= 0) { ThrowUnlessInterrupted("pwritev"); continue; }
                offset += count;
                while (index < pieces.Length && count >= pieces[index].Length) count -= pieces[index++].Length;
                if (count > 0)
                {
                    pieces[index].Address += count;
                    pieces[index].Length -= count;
                }
            }
        }
    }

    private static long LengthOf(ReadOnlySpan<IoPiece> pieces)
    {
        long length = 0;
        foreach (ref readonly var piece in pieces) length += piece.Length;
        return length;
    }

    /// <summary>Makes data durable. A failure is final: what was dirty may be dropped by the kernel, so trying again proves nothing.</summary>
    public void Sync()
    {
        Fail(FileOperation.Sync, 0, 0);
        while (FDataSync(_handle) != 0) ThrowUnlessInterrupted("fdatasync");
    }

    /// <summary>Reserves space for the whole range, so that a later write in it can not run out of space.</summary>
    public void Allocate(long offset, long lengthBytes)
    {
        Fail(FileOperation.Allocate, offset, lengthBytes);
        while (FAllocate(_handle, 0, offset, lengthBytes) != 0) ThrowUnlessInterrupted("fallocate");
    }

    /// <summary>Gives the space of a range back; it reads as zero afterwards.</summary>
    public void PunchHole(long offset, long lengthBytes)
    {
        Fail(FileOperation.Write, offset, lengthBytes);
        while (FAllocate(_handle, PunchHoleFlag | KeepSize, offset, lengthBytes) != 0) ThrowUnlessInterrupted("fallocate");
    }

    public void Dispose() => _handle.Dispose();

    private void Fail(FileOperation operation, long offset, long length)
    {
        if (_faults is null) return;
        var error = _faults(operation, Path, offset, length);
        if (error != 0) throw new BlockFileException(operation.ToString(), Path, error);
    }

    private void ThrowUnlessInterrupted(string call)
    {
        var error = Marshal.GetLastPInvokeError();
        if (error != Eintr) throw new BlockFileException(call, Path, error);
    }

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    private static unsafe partial nint PRead(SafeFileHandle file, byte* buffer, nuint count, long offset);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    private static unsafe partial nint PWrite(SafeFileHandle file, byte* buffer, nuint count, long offset);

    [LibraryImport("libc", EntryPoint = "pwritev", SetLastError = true)]
    private static unsafe partial nint PWriteV(SafeFileHandle file, IoPiece* pieces, int count, long offset);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int FDataSync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int FAllocate(SafeFileHandle file, int mode, long offset, long length);

    /// <summary>Makes the entries of a directory durable.</summary>
    public static void SyncDirectory(string path)
    {
        // A directory can not be opened as a file handle by the framework, so the descriptor is plain.
        var descriptor = Open(path, 0x10000 /* O_DIRECTORY */ | 0x80000 /* O_CLOEXEC */);
        if (descriptor < 0) throw new BlockFileException("open", path, Marshal.GetLastPInvokeError());
        var result = FSync(descriptor);
        var error = Marshal.GetLastPInvokeError();
        _ = Close(descriptor);
        if (result != 0) throw new BlockFileException("fsync", path, error);
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}

/// <summary>A system call on a file of the block store failed.</summary>
public sealed class BlockFileException(string call, string path, int errorNumber)
    : IOException($"{call} of {path} failed: {Marshal.GetPInvokeErrorMessage(errorNumber)} (errno {errorNumber}).")
{
    public const int Eio = 5, Enospc = 28;

    public int ErrorNumber { get; } = errorNumber;
}
