namespace Nephos.ObjectStorage.Swift;

/// <summary>An answer of the Swift face that is an error: status, and the page people see.</summary>
internal sealed class SwiftFault(int status, string message, bool plain = false) : Exception(message)
{
    public int Status { get; } = status;

    /// <summary>The message is the whole body instead of a paragraph of a page.</summary>
    public bool Plain { get; } = plain;

    public static SwiftFault NotFound() => new(404, "The resource could not be found.");

    public static SwiftFault Forbidden() => new(403, "Access was denied to this resource.");

    public static SwiftFault Unauthorized() =>
        new(401, "This server could not verify that you are authorized to access the document you requested.");

    public static SwiftFault BadRequest(string message) => new(400, message, plain: true);

    public static SwiftFault PreconditionFailed() => new(412, "A precondition for this request was not met.");

    public static SwiftFault Conflict() => new(409, "There was a conflict when trying to complete your request.");

    public static SwiftFault Unprocessable() => new(422, "Unable to process the contained instructions");

    public static SwiftFault MethodNotAllowed() => new(405, "The method is not allowed for this resource.");

    public static SwiftFault OverQuota() => new(413, "Upload exceeds quota.", plain: true);

    public static string TitleOf(int status) => status switch
    {
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        416 => "Requested Range Not Satisfiable",
        422 => "Unprocessable Entity",
        497 => "Blacklisted",
        498 => "Rate Limited",
        499 => "Client Disconnect",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Internal Error",
    };

    public string Body => Plain ? Message : Page(Status, Message);

    public static string Page(int status, string message) => $"<html><h1>{TitleOf(status)}</h1><p>{message}</p></html>";
}
