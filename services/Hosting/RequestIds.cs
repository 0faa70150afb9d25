namespace Nephos.Hosting;

/// <summary>Request ids in OpenStack's form.</summary>
public static class RequestIds
{
    public static string New() => $"req-{Guid.NewGuid():D}";
}
