using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using Nephos.Hosting.Rest;
using Nephos.Images.Catalog;
using Nephos.Images.Data;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;

namespace Nephos.Images.Rest;

/// <summary>The data of an image, in and out, without holding it.</summary>
internal static class ImageFiles
{
    private const string OctetStream = "application/octet-stream";

    public static void Map(RestRoutes rest)
    {
        rest.Put("/v2/images/{id}/file", UploadAsync);
        rest.Get("/v2/images/{id}/file", DownloadAsync);
    }

    private static async Task<RestResult> UploadAsync(RestCall call)
    {
        var request = call.Http.Request;
        if (request.ContentType?.Split(';')[0].Trim() != OctetStream)
        {
            throw new FaultException(ErrorReason.UnsupportedMediaType, $"The data of an image is sent as {OctetStream}.");
        }
        var announced = Announced(call.Header("x-openstack-image-size"));
        if (announced is not null && request.ContentLength is { } length && length != announced)
        {
            throw Faults.Invalid("x-openstack-image-size", $"{announced} bytes were announced and the body has {length}");
        }
        await call.Service<ImageUploads>().UploadAsync(
            call.Operation, call.Route("id"), new StreamSource(request.Body), new ExpectedData(announced ?? request.ContentLength, null), call.Cancelled);
        return RestResult.Empty(StatusCodes.Status204NoContent);
    }

    private static async Task<RestResult> DownloadAsync(RestCall call)
    {
        var downloads = call.Service<ImageDownloads>();
        var image = await call.Service<ImageService>().GetAsync(call.Operation, call.Route("id"), call.Cancelled);
        if (image.Data is null)
        {
            return RestResult.Empty(StatusCodes.Status204NoContent);
        }
        var data = call.Operation.RequireData(image);
        if (RangeOf(call.Http.Request, data.SizeBytes) is not { } range)
        {
            var status = StatusCodes.Status416RangeNotSatisfiable;
            return RestResult.Json(status, ImagesDialect.Error(status, $"The range lies outside the {data.SizeBytes} bytes of the image."))
                .WithHeader("Content-Range", $"bytes */{data.SizeBytes}");
        }
        return RestResult.Raw(async http =>
        {
            var response = http.Response;
            response.StatusCode = range.IsPart ? StatusCodes.Status206PartialContent : StatusCodes.Status200OK;
            response.ContentType = OctetStream;
            response.ContentLength = range.Length;
            response.Headers.AcceptRanges = "bytes";
            if (range.IsPart)
            {
                response.Headers.ContentRange = $"bytes {range.Offset}-{range.Offset + range.Length - 1}/{data.SizeBytes}";
            }
            else
            {
                response.Headers.ContentMD5 = data.Md5;
            }
            if (HttpMethods.IsHead(http.Request.Method))
            {
                return;
            }
            await foreach (var piece in downloads.ReadAsync(data, range.Offset, range.Length, http.RequestAborted))
            {
                await response.Body.WriteAsync(piece, http.RequestAborted);
            }
        });
    }

    private static long? Announced(string? header) =>
        header is null ? null
        : long.TryParse(header, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) ? bytes
        : throw Faults.Invalid("x-openstack-image-size", "must be a number of bytes");

    /// <summary>Null when a range is asked for that the data does not have; everything when none, or several, are asked for.</summary>
    private static (long Offset, long Length, bool IsPart)? RangeOf(HttpRequest request, long size)
    {
        if (!RangeHeaderValue.TryParse(request.Headers.Range.ToString(), out var header) || header.Unit != "bytes" ||
            header.Ranges is not { Count: 1 } ranges)
        {
            return (0, size, false);
        }
        var asked = ranges.First();
        var offset = asked.From ?? Math.Max(0, size - (asked.To ?? 0));
        var end = asked.From is null ? size : Math.Min(size, (asked.To ?? size - 1) + 1);
        return offset < end ? (offset, end - offset, true) : null;
    }
}
