namespace Nephos.Hypervisor.Metadata;

/// <summary>The content behind 169.254.169.254. The listener finds the port that asks (network by device, port by source address)
/// and passes the path; it knows nothing of documents.</summary>
internal interface IInstanceMetadataSource
{
    /// <summary>Answers GET of <paramref name="path"/> for the instance that has the port. Never waits; thread safe.</summary>
    /// <param name="path">Absolute path of the request without the query.</param>
    MetadataReply Get(Guid portId, string path);
}

/// <param name="Status">200 or 404.</param>
internal readonly record struct MetadataReply(int Status, string ContentType, ReadOnlyMemory<byte> Body)
{
    public static readonly MetadataReply NotFound = new(404, "text/plain", default);
}
