using System.Buffers.Binary;
using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>Walks the rows of a bucket for a page. Seeks past common prefixes and older versions, so that the cost follows the results.</summary>
internal ref struct ObjectLister
{
    /// <summary>Rows of older versions stepped over before a seek is cheaper.</summary>
    private const int StepsBeforeSeek = 4;

    private readonly ListObjects _request;
    private readonly IndexCursor _cursor;
    private readonly byte[] _table;
    private readonly byte[] _from;
    private readonly byte[] _to;
    private readonly List<ListEntry> _entries = [];

    private ObjectLister(ListObjects request, ulong bucket, IndexCursor cursor)
    {
        (_request, _cursor) = (request, cursor);
        _table = new KeyBuilder(RowKeys.ObjectTable).Number(bucket).ToArray();
        _from = Beginning(request.Prefix);
        _to = RowKeys.After(_from);
    }

    public static ObjectPage List(ListObjects request, ulong bucket, IndexCursor cursor)
    {
        var lister = new ObjectLister(request, bucket, cursor);
        var more = request.Limit > 0 && (request.Reverse ? lister.Backward() : lister.Forward());
        var last = lister._entries.Count > 0 ? lister._entries[^1] : default;
        return new ObjectPage(
            lister._entries, more, more ? last.Name : "", more && request.Versions ? last.Object?.Version : null);
    }

    private bool Forward()
    {
        _cursor.Seek(Start());
        var end = _request.EndMarker.Length == 0 ? _to : Least(_to, Beginning(_request.EndMarker));
        var steps = 0;
        string? steppedKey = null;
        while (_cursor.IsValid)
        {
            // Asked for once: each time is a call into the database.
            var row = _cursor.Key;
            if (row.SequenceCompareTo(end) >= 0)
            {
                break;
            }

            var key = RowKeys.ReadText(row[_table.Length..], out var textBytes);
            var isLatest = BinaryPrimitives.ReadUInt64BigEndian(row[(_table.Length + textBytes)..]) == 0;
            if (!_request.Versions && !isLatest)
            {
                // Older versions of one key: a few steps, then a jump to the next key.
                steps = steppedKey == key ? steps + 1 : 1;
                steppedKey = key;
                if (steps > StepsBeforeSeek)
                {
                    _cursor.Seek(PastVersions(key));
                }
                else
                {
                    _cursor.Next();
                }

                continue;
            }

            var summary = Rows.ReadSummary(key, _cursor.Value, isLatest);
            if (!_request.Versions && summary.IsDeleteMarker)
            {
                _cursor.Next();
                continue;
            }

            if (_entries.Count == _request.Limit)
            {
                return true;
            }

            if (CommonPrefixOf(key) is { } prefix)
            {
                _entries.Add(new ListEntry(prefix, null));
                _cursor.Seek(RowKeys.After(Beginning(prefix)));
            }
            else
            {
                _entries.Add(new ListEntry(key, summary));
                _cursor.Next();
            }
        }

        return false;
    }

    private bool Backward()
    {
        var start = _to;
        if (_request.Marker.Length > 0)
        {
            start = Least(start, Beginning(_request.Marker));
        }

        // Exclusive lower bound: the first row behind the end marker's key.
        var end = _request.EndMarker.Length == 0 ? _from : Greatest(_from, PastVersions(_request.EndMarker));
        _cursor.SeekBefore(start);
        while (_cursor.IsValid && _cursor.Key.SequenceCompareTo(end) >= 0)
        {
            var key = RowKeys.ReadText(_cursor.Key[_table.Length..], out var textBytes);
            var isLatest = BinaryPrimitives.ReadUInt64BigEndian(_cursor.Key[(_table.Length + textBytes)..]) == 0;
            if (!isLatest)
            {
                // The current version is the first row of its key.
                _cursor.SeekBefore(FirstOlder(key));
                continue;
            }

            var summary = Rows.ReadSummary(key, _cursor.Value, isLatest: true);
            if (summary.IsDeleteMarker)
            {
                _cursor.Previous();
                continue;
            }

            if (_entries.Count == _request.Limit)
            {
                return true;
            }

            if (CommonPrefixOf(key) is { } prefix)
            {
                _entries.Add(new ListEntry(prefix, null));
                _cursor.SeekBefore(Beginning(prefix));
            }
            else
            {
                _entries.Add(new ListEntry(key, summary));
                _cursor.Previous();
            }
        }

        return false;
    }

    private byte[] Start()
    {
        var marker = _request.Marker;
        if (marker.Length == 0)
        {
            return _from;
        }

        if (_request is { Versions: true, VersionMarker: { } version })
        {
            // Behind that version: whether it is current or not, the older ones have greater suffixes.
            return Greatest(_from, new KeyBuilder(RowKeys.ObjectTable).Raw(_table.AsSpan(1)).Text(marker).Number(~version.Sequence + 1).ToArray());
        }

        return Greatest(_from, CommonPrefixOf(marker) == marker ? RowKeys.After(Beginning(marker)) : PastVersions(marker));
    }

    /// <summary>What a key becomes when the delimiter occurs in it behind the prefix.</summary>
    private string? CommonPrefixOf(string key)
    {
        if (_request.Delimiter.Length == 0 || !key.StartsWith(_request.Prefix, StringComparison.Ordinal))
        {
            return null;
        }

        var at = key.IndexOf(_request.Delimiter, _request.Prefix.Length, StringComparison.Ordinal);
        return at < 0 ? null : key[..(at + _request.Delimiter.Length)];
    }

    private byte[] Beginning(string text) => new KeyBuilder(RowKeys.ObjectTable).Raw(_table.AsSpan(1)).Begin(text).ToArray();

    private byte[] PastVersions(string key) =>
        new KeyBuilder(RowKeys.ObjectTable).Raw(_table.AsSpan(1)).Begin(key).Byte(0).Byte(2).ToArray();

    private byte[] FirstOlder(string key) => new KeyBuilder(RowKeys.ObjectTable).Raw(_table.AsSpan(1)).Text(key).Number(1).ToArray();

    private static byte[] Least(byte[] a, byte[] b) => a.AsSpan().SequenceCompareTo(b) <= 0 ? a : b;

    private static byte[] Greatest(byte[] a, byte[] b) => a.AsSpan().SequenceCompareTo(b) >= 0 ? a : b;
}
