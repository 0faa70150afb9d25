using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Nephos.Hypervisor.Metadata;

/// <summary>Writes a small read-only disc: ISO 9660 (ECMA-119) with a Joliet tree beside it, which is where guests read the long names.</summary>
/// <remarks>
/// Sectors of 2048 bytes. 0-15 zero | 16 primary volume descriptor | 17 Joliet descriptor | 18 terminator | path tables (little and big
/// endian, of both trees) | directories of the primary tree | directories of the Joliet tree | files. Both trees point at the same files.
/// Every number that the standard wants in both byte orders is written in both.
/// </remarks>
internal sealed class IsoImage(string label, DateTimeOffset created)
{
    private const int Sector = 2048;
    private const int NameCharsMax = 64;
    private const int PrimaryNameCharsMax = 30;

    private readonly Node _root = new("", null);

    /// <summary>Adds a file; folders appear as needed. A path that is there already is replaced.</summary>
    public void Add(string path, byte[] content)
    {
        var node = _root;
        var parts = path.Split('/');
        for (var index = 0; index < parts.Length; index++)
        {
            if (parts[index].Length is 0 or > NameCharsMax)
            {
                throw new ArgumentException($"names on a disc have 1 to {NameCharsMax} characters: {path}", nameof(path));
            }
            var last = index == parts.Length - 1;
            if (last)
            {
                node.Children.RemoveAll(child => child.Name == parts[index]);
                node.Children.Add(new Node(parts[index], node) { Content = content });
            }
            else
            {
                var child = node.Children.Find(child => child.Name == parts[index] && child.Content is null);
                if (child is null)
                {
                    child = new Node(parts[index], node);
                    node.Children.Add(child);
                }
                node = child;
            }
        }
    }

    public byte[] Write()
    {
        NamePrimary(_root);
        var primary = new Tree(Folders(_root, node => node.PrimaryName), node => Encoding.ASCII.GetBytes(node.PrimaryName), joliet: false);
        var joliet = new Tree(Folders(_root, node => node.Name), node => Encoding.BigEndianUnicode.GetBytes(node.Name), joliet: true);
        var next = 19;
        foreach (var tree in new[] { primary, joliet })
        {
            tree.PathTableBytes = tree.Folders.Sum(folder => PathEntryBytes(tree, folder));
            tree.LittlePathTable = next;
            next += Sectors(tree.PathTableBytes);
            tree.BigPathTable = next;
            next += Sectors(tree.PathTableBytes);
        }
        foreach (var tree in new[] { primary, joliet })
        {
            foreach (var folder in tree.Folders)
            {
                var bytes = FolderBytes(tree, folder);
                tree.Extents[folder] = (next, bytes);
                next += bytes / Sector;
            }
        }
        foreach (var file in primary.Folders.SelectMany(folder => folder.Children).Where(node => node.Content is not null))
        {
            primary.Extents[file] = joliet.Extents[file] = (file.Content!.Length == 0 ? 0 : next, file.Content.Length);
            next += Sectors(file.Content.Length);
        }
        var image = new byte[next * Sector];
        Descriptor(image.AsSpan(16 * Sector, Sector), primary, next);
        Descriptor(image.AsSpan(17 * Sector, Sector), joliet, next);
        var end = image.AsSpan(18 * Sector);
        end[0] = 255;
        "CD001"u8.CopyTo(end[1..]);
        end[6] = 1;
        foreach (var tree in new[] { primary, joliet })
        {
            PathTable(image.AsSpan(tree.LittlePathTable * Sector), tree, bigEndian: false);
            PathTable(image.AsSpan(tree.BigPathTable * Sector), tree, bigEndian: true);
            foreach (var folder in tree.Folders)
            {
                var (sector, bytes) = tree.Extents[folder];
                Folder(image.AsSpan(sector * Sector, bytes), tree, folder);
            }
        }
        foreach (var (node, (sector, _)) in primary.Extents)
        {
            node.Content?.CopyTo(image, sector * Sector);
        }
        return image;
    }

    /// <summary>Folders in the order of a path table: by level, then by parent, then by name.</summary>
    private static List<Node> Folders(Node root, Func<Node, string> name)
    {
        var folders = new List<Node> { root };
        for (var index = 0; index < folders.Count; index++)
        {
            folders.AddRange(folders[index].Children.Where(child => child.Content is null).OrderBy(name, StringComparer.Ordinal));
        }
        return folders;
    }

    /// <summary>Gives every node a name that plain ISO 9660 allows, unique in its folder.</summary>
    private static void NamePrimary(Node folder)
    {
        var taken = new HashSet<string>();
        foreach (var child in folder.Children)
        {
            var dots = 0;
            var plain = new string([.. child.Name.ToUpperInvariant().Select(letter =>
                letter is (>= 'A' and <= 'Z') or (>= '0' and <= '9') ? letter
                : letter == '.' && child.Content is not null && dots++ == 0 ? '.' : '_')]);
            plain = plain.Length > PrimaryNameCharsMax ? plain[..PrimaryNameCharsMax] : plain;
            for (var number = 0; !taken.Add(plain); number++)
            {
                var suffix = number.ToString(CultureInfo.InvariantCulture);
                plain = string.Concat(plain.AsSpan(0, Math.Min(plain.Length, PrimaryNameCharsMax - suffix.Length)), suffix);
            }
            child.PrimaryName = child.Content is null ? plain : (plain.Contains('.') ? plain : plain + ".") + ";1";
            NamePrimary(child);
        }
    }

    private void Descriptor(Span<byte> at, Tree tree, int sectors)
    {
        at[0] = (byte)(tree.Joliet ? 2 : 1);
        "CD001"u8.CopyTo(at[1..]);
        at[6] = 1;
        PadText(at.Slice(8, 32), "", tree.Joliet);
        PadText(at.Slice(40, 32), label, tree.Joliet);
        Both32(at[80..], sectors);
        if (tree.Joliet)
        {
            // UCS-2 level 3.
            "%/E"u8.CopyTo(at[88..]);
        }
        Both16(at[120..], 1);
        Both16(at[124..], 1);
        Both16(at[128..], Sector);
        Both32(at[132..], tree.PathTableBytes);
        BinaryPrimitives.WriteInt32LittleEndian(at[140..], tree.LittlePathTable);
        BinaryPrimitives.WriteInt32BigEndian(at[148..], tree.BigPathTable);
        Record(at[156..], tree, _root, [0]);
        foreach (var (offset, length) in new[] { (190, 128), (318, 128), (446, 128), (574, 128), (702, 37), (739, 37), (776, 37) })
        {
            PadText(at.Slice(offset, length), "", tree.Joliet);
        }
        LongDate(at[813..], created);
        LongDate(at[830..], created);
        LongDate(at[847..], value: null);
        LongDate(at[864..], value: null);
        at[881] = 1;
    }

    private static int PathEntryBytes(Tree tree, Node folder)
    {
        var name = folder.Parent is null ? 1 : tree.Name(folder).Length;
        return 8 + name + (name & 1);
    }

    private static void PathTable(Span<byte> at, Tree tree, bool bigEndian)
    {
        var number = tree.Folders.Select((folder, index) => (folder, index)).ToDictionary(pair => pair.folder, pair => pair.index + 1);
        foreach (var folder in tree.Folders)
        {
            byte[] name = folder.Parent is null ? [0] : tree.Name(folder);
            var parent = (ushort)number[folder.Parent ?? folder];
            at[0] = (byte)name.Length;
            if (bigEndian)
            {
                BinaryPrimitives.WriteInt32BigEndian(at[2..], tree.Extents[folder].Sector);
                BinaryPrimitives.WriteUInt16BigEndian(at[6..], parent);
            }
            else
            {
                BinaryPrimitives.WriteInt32LittleEndian(at[2..], tree.Extents[folder].Sector);
                BinaryPrimitives.WriteUInt16LittleEndian(at[6..], parent);
            }
            name.CopyTo(at[8..]);
            at = at[PathEntryBytes(tree, folder)..];
        }
    }

    private static IEnumerable<(Node Node, byte[] Name)> Entries(Tree tree, Node folder) =>
    [
        (folder, [0]),
        (folder.Parent ?? folder, [1]),
        .. folder.Children.Select(child => (child, tree.Name(child))).OrderBy(entry => entry.Item2, ByteOrder.Instance),
    ];

    private static int RecordBytes(int nameBytes) => 33 + nameBytes + (1 - (nameBytes & 1));

    private static int FolderBytes(Tree tree, Node folder)
    {
        var used = 0;
        foreach (var (_, name) in Entries(tree, folder))
        {
            var record = RecordBytes(name.Length);
            // A record does not cross a sector.
            used = (used % Sector) + record > Sector ? (Sectors(used) * Sector) + record : used + record;
        }
        return Sectors(used) * Sector;
    }

    private void Folder(Span<byte> at, Tree tree, Node folder)
    {
        var used = 0;
        foreach (var (node, name) in Entries(tree, folder))
        {
            var record = RecordBytes(name.Length);
            if ((used % Sector) + record > Sector)
            {
                used = Sectors(used) * Sector;
            }
            Record(at[used..], tree, node, name);
            used += record;
        }
    }

    private void Record(Span<byte> at, Tree tree, Node node, ReadOnlySpan<byte> name)
    {
        var (sector, bytes) = tree.Extents[node];
        at[0] = (byte)RecordBytes(name.Length);
        Both32(at[2..], sector);
        Both32(at[10..], bytes);
        at[18] = (byte)(created.UtcDateTime.Year - 1900);
        at[19] = (byte)created.UtcDateTime.Month;
        at[20] = (byte)created.UtcDateTime.Day;
        at[21] = (byte)created.UtcDateTime.Hour;
        at[22] = (byte)created.UtcDateTime.Minute;
        at[23] = (byte)created.UtcDateTime.Second;
        at[25] = (byte)(node.Content is null ? 2 : 0);
        Both16(at[28..], 1);
        at[32] = (byte)name.Length;
        name.CopyTo(at[33..]);
    }

    private static void LongDate(Span<byte> at, DateTimeOffset? value)
    {
        Encoding.ASCII.GetBytes(value is { } date ? date.UtcDateTime.ToString("yyyyMMddHHmmss00", CultureInfo.InvariantCulture) : new string('0', 16), at);
        at[16] = 0;
    }

    private static void PadText(Span<byte> at, string text, bool joliet)
    {
        if (!joliet)
        {
            at.Fill((byte)' ');
            Encoding.ASCII.GetBytes(text, at);
            return;
        }
        for (var index = 0; index + 1 < at.Length; index += 2)
        {
            at[index] = 0;
            at[index + 1] = (byte)' ';
        }
        Encoding.BigEndianUnicode.GetBytes(text, at);
    }

    private static int Sectors(int bytes) => (bytes + Sector - 1) / Sector;

    private static void Both16(Span<byte> at, int value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(at, (ushort)value);
        BinaryPrimitives.WriteUInt16BigEndian(at[2..], (ushort)value);
    }

    private static void Both32(Span<byte> at, int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(at, value);
        BinaryPrimitives.WriteInt32BigEndian(at[4..], value);
    }

    private sealed class Node(string name, Node? parent)
    {
        public string Name { get; } = name;
        public string PrimaryName { get; set; } = name;
        public Node? Parent { get; } = parent;
        /// <summary>Null for a folder.</summary>
        public byte[]? Content { get; init; }
        public List<Node> Children { get; } = [];
    }

    private sealed class Tree(List<Node> folders, Func<Node, byte[]> name, bool joliet)
    {
        public List<Node> Folders { get; } = folders;
        public Func<Node, byte[]> Name { get; } = name;
        public bool Joliet { get; } = joliet;
        public Dictionary<Node, (int Sector, int Bytes)> Extents { get; } = [];
        public int PathTableBytes { get; set; }
        public int LittlePathTable { get; set; }
        public int BigPathTable { get; set; }
    }

    private sealed class ByteOrder : IComparer<byte[]>
    {
        public static readonly ByteOrder Instance = new();

        public int Compare(byte[]? left, byte[]? right) => left.AsSpan().SequenceCompareTo(right);
    }
}
