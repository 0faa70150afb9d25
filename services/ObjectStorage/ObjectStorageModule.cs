using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.ObjectStorage.Buckets;
using Nephos.ObjectStorage.Objects;
using Nephos.ObjectStorage.Swift;

namespace Nephos.ObjectStorage;

/// <summary>Buckets and objects: gRPC, Swift and S3 over one namespace.</summary>
public static class ObjectStorageModule
{
    public static void AddObjectStorage(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<BucketsGrpcService>();
        builder.Services.AddSingleton<ObjectsGrpcService>();
        builder.Services.AddSingleton<SwiftFace>();
    }

    public static void MapObjectStorage(this WebApplication app)
    {
        app.MapGrpcService<BucketsGrpcService>();
        app.MapGrpcService<ObjectsGrpcService>();
        app.Services.GetRequiredService<SwiftFace>().Map(app);
    }
}
