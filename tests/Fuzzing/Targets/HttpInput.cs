using System.Buffers;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Nephos.Fuzzing.Targets;

/// <summary>An input that reads as a request: <c>METHOD target</c>, headers, an empty line, the body. Lines end with a line feed.</summary>
/// <remarks>What a web server refuses before anyone sees it is left out: names and values of headers that HTTP does not allow, a target that is no path.</remarks>
internal static class HttpInput
{
    private static readonly SearchValues<char> TokenChars = SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    /// <returns>Null when a server would not pass it on.</returns>
    public static DefaultHttpContext? Parse(byte[] input)
    {
        var end = input.AsSpan().IndexOf("\n\n"u8);
        var head = Encoding.UTF8.GetString(end < 0 ? input : input.AsSpan(0, end)).Split('\n');
        var body = end < 0 ? [] : input[(end + 2)..];
        if (head[0].Split(' ') is not [{ Length: > 0 and < 20 } method, ['/', ..] target] || method.AsSpan().ContainsAnyExcept(TokenChars) || target.Any(c => c is <= ' ' or > '~'))
        {
            return null;
        }
        var http = new DefaultHttpContext();
        var question = target.IndexOf('?', StringComparison.Ordinal);
        var request = http.Features.GetRequiredFeature<IHttpRequestFeature>();
        request.Method = method;
        request.RawTarget = target;
        request.Path = Uri.UnescapeDataString(question < 0 ? target : target[..question]);
        request.QueryString = question < 0 ? "" : target[question..];
        request.Scheme = "http";
        request.Body = new MemoryStream(body);
        request.Headers.Host = "localhost";
        foreach (var line in head.Skip(1).Take(100))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0 && !line.AsSpan(0, colon).ContainsAnyExcept(TokenChars) && !line.AsSpan(colon).ContainsAnyInRange('\0', '\u001f'))
            {
                request.Headers.Append(line[..colon], line[(colon + 1)..].Trim());
            }
        }
        request.Headers.ContentLength = body.Length;
        http.Response.Body = new MemoryStream();
        return http;
    }

    /// <summary>A server would refuse to send such an answer, or worse, send two.</summary>
    public static void CheckAnswer(HttpContext http)
    {
        foreach (var (name, values) in http.Response.Headers)
        {
            if (name.AsSpan().ContainsAnyExcept(TokenChars))
            {
                throw new InvalidDataException($"The answer has a header with the name '{name}'.");
            }
            foreach (var value in values)
            {
                if (value is not null && value.AsSpan().ContainsAny(ControlChars))
                {
                    throw new InvalidDataException($"The answer's header {name} has a control character: '{value}'.");
                }
            }
        }
    }

    private static readonly SearchValues<char> ControlChars = SearchValues.Create([.. Enumerable.Range(0, 32).Where(c => c != '\t').Select(c => (char)c), '\u007f']);

    /// <summary>An input as <see cref="Parse"/> reads it.</summary>
    public static byte[] Make(string method, string target, IEnumerable<(string Name, string Value)> headers, ReadOnlySpan<byte> body)
    {
        var head = $"{method} {target}\n{string.Concat(headers.Select(header => $"{header.Name}: {header.Value}\n"))}\n";
        return [.. Encoding.UTF8.GetBytes(head), .. body];
    }
}
