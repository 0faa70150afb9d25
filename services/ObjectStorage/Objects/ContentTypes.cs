namespace Nephos.ObjectStorage.Objects;

/// <summary>The content type of a file by its name, for uploads that name none.</summary>
internal static class ContentTypes
{
    public const string Default = "application/octet-stream";

    public static string OfName(string name) => Path.GetExtension(name).ToLowerInvariant() switch
    {
        ".html" or ".htm" => "text/html",
        ".css" => "text/css",
        ".js" or ".mjs" => "text/javascript",
        ".txt" or ".log" or ".md" => "text/plain",
        ".json" => "application/json",
        ".xml" => "application/xml",
        ".csv" => "text/csv",
        ".svg" => "image/svg+xml",
        ".png" => "image/png",
        ".jpg" or ".jpeg" => "image/jpeg",
        ".gif" => "image/gif",
        ".webp" => "image/webp",
        ".ico" => "image/vnd.microsoft.icon",
        ".pdf" => "application/pdf",
        ".zip" => "application/zip",
        ".gz" or ".tgz" => "application/gzip",
        ".tar" => "application/x-tar",
        ".mp3" => "audio/mpeg",
        ".mp4" => "video/mp4",
        ".webm" => "video/webm",
        ".woff2" => "font/woff2",
        ".wasm" => "application/wasm",
        _ => Default,
    };
}
