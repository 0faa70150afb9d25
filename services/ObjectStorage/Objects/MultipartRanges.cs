using System.Text;
using Microsoft.AspNetCore.Http;
using Nephos.Client.Objects;

namespace Nephos.ObjectStorage.Objects;

/// <summary>Several ranges in one answer: <c>multipart/byteranges</c> (RFC 9110, section 14.6).</summary>
internal static class MultipartRanges
{
    public static async Task SendAsync(
        IObjectEngine engine, HttpContext http, Content content, IReadOnlyList<(long Offset, long Length)> ranges, string contentType)
    {
        var boundary = Guid.NewGuid().ToString("N");
        var heads = ranges.Select(range => Encoding.UTF8.GetBytes(
            $"--{boundary}\r\nContent-Type: {contentType}\r\nContent-Range: bytes {range.Offset}-{range.Offset + range.Length - 1}/{content.LengthBytes}\r\n\r\n")).ToList();
        var newLine = "\r\n"u8.ToArray();
        var end = Encoding.UTF8.GetBytes($"--{boundary}--");
        http.Response.StatusCode = StatusCodes.Status206PartialContent;
        http.Response.ContentType = $"multipart/byteranges;boundary={boundary}";
        http.Response.ContentLength = heads.Sum(head => (long)head.Length) + ranges.Sum(range => range.Length + newLine.Length) + end.Length;
        if (HttpMethods.IsHead(http.Request.Method))
        {
            return;
        }
        var body = http.Response.Body;
        for (var index = 0; index < ranges.Count; index++)
        {
            await body.WriteAsync(heads[index], http.RequestAborted);
            await content.WriteAsync(engine, body, ranges[index].Offset, ranges[index].Length, http.RequestAborted);
            await body.WriteAsync(newLine, http.RequestAborted);
        }
        await body.WriteAsync(end, http.RequestAborted);
    }
}
