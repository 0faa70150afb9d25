using System.Runtime.InteropServices;
using System.Text;

namespace Nephos.Hypervisor.Network.Nft;

/// <summary>Packet rules of the namespace of the thread that makes the object (libnftables in this process). Thread safe.</summary>
internal sealed partial class NftContext : IDisposable
{
    private const string Library = "libnftables.so.1";

    private readonly Lock _lock = new();
    private nint _context;

    /// <exception cref="DllNotFoundException">The Debian package libnftables1 is missing.</exception>
    public NftContext()
    {
        _context = New(0);
        if (_context == 0)
        {
            throw new InvalidOperationException("libnftables gives no context");
        }

        BufferOutput(_context);
        BufferError(_context);
    }

    /// <summary>Runs commands in one transaction: all or nothing.</summary>
    /// <returns>What the commands print.</returns>
    /// <exception cref="NftException">The first complaint of the library; nothing was changed.</exception>
    public unsafe string Run(string commands)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_context == 0, this);
            int failed;
            // SAFETY: the buffer ends with a zero byte and is not kept by the library.
            fixed (byte* bytes = Encoding.UTF8.GetBytes(commands + "\0"))
            {
                failed = RunBuffer(_context, bytes);
            }

            var output = Marshal.PtrToStringUTF8(Output(_context)) ?? "";
            var error = Marshal.PtrToStringUTF8(Error(_context)) ?? "";
            return failed == 0 ? output : throw new NftException(error.Trim());
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_context != 0)
            {
                Free(_context);
                _context = 0;
            }
        }
    }

    [LibraryImport(Library, EntryPoint = "nft_ctx_new")]
    private static partial nint New(uint flags);

    [LibraryImport(Library, EntryPoint = "nft_ctx_free")]
    private static partial void Free(nint context);

    [LibraryImport(Library, EntryPoint = "nft_ctx_buffer_output")]
    private static partial int BufferOutput(nint context);

    [LibraryImport(Library, EntryPoint = "nft_ctx_buffer_error")]
    private static partial int BufferError(nint context);

    [LibraryImport(Library, EntryPoint = "nft_ctx_get_output_buffer")]
    private static partial nint Output(nint context);

    [LibraryImport(Library, EntryPoint = "nft_ctx_get_error_buffer")]
    private static partial nint Error(nint context);

    [LibraryImport(Library, EntryPoint = "nft_run_cmd_from_buffer")]
    private static unsafe partial int RunBuffer(nint context, byte* commands);
}

internal sealed class NftException(string message) : Exception($"nftables: {message}");
