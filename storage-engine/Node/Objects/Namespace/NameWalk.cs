using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>A page of rows that are named by one text behind a common beginning, with the usual bounds of a listing.</summary>
internal readonly struct NameWalk(byte[] table, string prefix, string delimiter, string marker, string endMarker, int limit, bool reverse)
{
    public (List<(string Name, BucketRecord? Record)> Names, bool IsTruncated) Run(
        IndexCursor cursor, Func<string, byte[], BucketRecord> read)
    {
        var names = new List<(string, BucketRecord?)>();
        var (from, to) = (Beginning(prefix), RowKeys.After(Beginning(prefix)));
        if (reverse)
        {
            to = marker.Length == 0 ? to : Least(to, Beginning(marker));
            from = endMarker.Length == 0 ? from : Greatest(from, Past(endMarker));
            cursor.SeekBefore(to);
        }
        else
        {
            to = endMarker.Length == 0 ? to : Least(to, Beginning(endMarker));
            from = marker.Length == 0 ? from : Greatest(from, CommonPrefixOf(marker) == marker ? RowKeys.After(Beginning(marker)) : Past(marker));
            cursor.Seek(from);
        }

        while (cursor.IsValid && cursor.Key.SequenceCompareTo(from) >= 0 && cursor.Key.SequenceCompareTo(to) < 0)
        {
            if (names.Count == limit)
            {
                return (names, limit > 0);
            }

            var name = RowKeys.ReadText(cursor.Key[table.Length..], out _);
            var common = CommonPrefixOf(name);
            names.Add((common ?? name, common is null ? read(name, cursor.Value.ToArray()) : null));
            if (common is not null)
            {
                if (reverse)
                {
                    cursor.SeekBefore(Beginning(common));
                }
                else
                {
                    cursor.Seek(RowKeys.After(Beginning(common)));
                }
            }
            else if (reverse)
            {
                cursor.Previous();
            }
            else
            {
                cursor.Next();
            }
        }

        return (names, false);
    }

    private string? CommonPrefixOf(string name)
    {
        if (delimiter.Length == 0 || !name.StartsWith(prefix, StringComparison.Ordinal))
        {
            return null;
        }

        var at = name.IndexOf(delimiter, prefix.Length, StringComparison.Ordinal);
        return at < 0 ? null : name[..(at + delimiter.Length)];
    }

    private byte[] Beginning(string text) => new KeyBuilder(table[0]).Raw(table.AsSpan(1)).Begin(text).ToArray();

    private byte[] Past(string text) => new KeyBuilder(table[0]).Raw(table.AsSpan(1)).Begin(text).Byte(0).Byte(2).ToArray();

    private static byte[] Least(byte[] a, byte[] b) => a.AsSpan().SequenceCompareTo(b) <= 0 ? a : b;

    private static byte[] Greatest(byte[] a, byte[] b) => a.AsSpan().SequenceCompareTo(b) >= 0 ? a : b;
}
