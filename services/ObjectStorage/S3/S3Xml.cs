using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Writes one of S3's documents as UTF-8 into a pooled buffer, without a tree in between. Not thread-safe.</summary>
/// <param name="encodesNames">Names of objects are percent-encoded, as clients ask for that need every character.</param>
internal sealed class S3Xml(bool encodesNames) : IDisposable
{
    private const int FirstBytes = 16 * 1024;
    private static readonly SearchValues<char> Plain = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/ !#$%'()*+,:;=?@[]^`{|}\\");

    private static readonly SearchValues<char> Unreserved = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/");

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(FirstBytes);
    private int _length;

    public ReadOnlyMemory<byte> Written => _buffer.AsMemory(0, _length);

    /// <summary>The declaration and the root element.</summary>
    public void Begin(string root)
    {
        Raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<"u8);
        Ascii(root);
        Raw(" xmlns=\""u8);
        Ascii(S3Call.Namespace);
        Raw("\">"u8);
    }

    public void Open(string element)
    {
        Raw("<"u8);
        Ascii(element);
        Raw(">"u8);
    }

    public void Close(string element)
    {
        Raw("</"u8);
        Ascii(element);
        Raw(">"u8);
    }

    public void Text(string element, string text)
    {
        Open(element);
        Escape(text);
        Close(element);
    }

    /// <summary>An object's name, or a part of one.</summary>
    public void Name(string element, string name)
    {
        Open(element);
        if (!encodesNames)
        {
            Escape(name);
        }
        else if (name.AsSpan().ContainsAnyExcept(Unreserved))
        {
            Ascii(S3Target.Escape(name, keepSlash: true));
        }
        else
        {
            Ascii(name);
        }
        Close(element);
    }

    public void Number(string element, long value)
    {
        Open(element);
        Utf8Formatter.TryFormat(value, Room(20), out var written);
        _length += written;
        Close(element);
    }

    public void Time(string element, DateTimeOffset time)
    {
        Open(element);
        time.UtcDateTime.TryFormat(Room(32), out var written, "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture);
        _length += written;
        Close(element);
    }

    public void Etag(string element, string etag)
    {
        Open(element);
        Raw("&quot;"u8);
        Escape(etag);
        Raw("&quot;"u8);
        Close(element);
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }

    private void Escape(string text)
    {
        if (!text.AsSpan().ContainsAnyExcept(Plain))
        {
            Ascii(text);
            return;
        }
        foreach (var rune in text.EnumerateRunes())
        {
            switch (rune.Value)
            {
                case '&':
                    Raw("&amp;"u8);
                    break;
                case '<':
                    Raw("&lt;"u8);
                    break;
                case '>':
                    Raw("&gt;"u8);
                    break;
                case '"':
                    Raw("&quot;"u8);
                    break;
                case '\r':
                    Raw("&#13;"u8);
                    break;
                case < ' ' and not ('\t' or '\n') or 0xFFFE or 0xFFFF:
                    // No document of XML 1.0 may hold these, not even escaped.
                    break;
                default:
                    _length += rune.EncodeToUtf8(Room(4));
                    break;
            }
        }
    }

    private void Ascii(string text) => _length += Encoding.UTF8.GetBytes(text, Room(text.Length * 3));

    private void Raw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Room(bytes.Length));
        _length += bytes.Length;
    }

    private Span<byte> Room(int bytes)
    {
        if (_buffer.Length - _length < bytes)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(_buffer.Length * 2, _length + bytes));
            _buffer.AsSpan(0, _length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = larger;
        }
        return _buffer.AsSpan(_length);
    }
}
