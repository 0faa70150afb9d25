using System.Text;
using Nephos.Client.Volumes;

namespace Nephos.Client.Nbd;

/// <summary>Something that a client may ask about ranges of blocks (B6).</summary>
/// <param name="Id">As answers name it.</param>
/// <param name="Name">ASCII.</param>
/// <param name="Bitmap">Index of a bitmap of the export; negative for what is allocated.</param>
internal sealed record NbdContext(uint Id, string Name, int Bitmap)
{
    public const string Allocation = "base:allocation";
    public const string BitmapPrefix = "qemu:dirty-bitmap:";

    private const uint AllocationId = 1;
    private const uint HoleState = 1, ZeroState = 2, DirtyState = 1;

    public static IReadOnlyList<NbdContext> Of(INbdExport? export) => export is null
        ? []
        : [new NbdContext(AllocationId, Allocation, -1), .. export.Bitmaps.Select((name, index) => new NbdContext(AllocationId + 1 + (uint)index, BitmapPrefix + name, index))];

    /// <summary>Whether a query asks for this: by its name, or in a listing also by the beginning of it up to a colon.</summary>
    public bool IsMeantBy(ReadOnlySpan<byte> query, bool listing)
    {
        Span<byte> name = stackalloc byte[Name.Length];
        Encoding.ASCII.GetBytes(Name, name);
        return query.SequenceEqual(name) || (listing && !query.IsEmpty && query[^1] == ':' && name.StartsWith(query));
    }

    public ReplicaStatus Ask(INbdContent content, long offset, long length, Span<BlockRange> ranges, out int count) => Bitmap < 0
        ? content.GetRanges(offset, length, ranges, out count)
        : content.GetChanges(Bitmap, offset, length, ranges, out count);

    public uint StateOf(BlockRangeKind kind) => Bitmap >= 0
        ? kind == BlockRangeKind.Data ? DirtyState : 0
        : kind switch
        {
            BlockRangeKind.Data => 0,
            BlockRangeKind.Zero => ZeroState,
            _ => HoleState | ZeroState,
        };
}
